// Who was where, one line for each request, in the form that squid's readers understand. Decides nothing; what cannot be written is lost.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/address.h"
#include "system/fd.h"

namespace drpf::proxy {

struct Access {
  std::chrono::steady_clock::time_point begun;
  Address client;
  std::string_view code = "TCP_MISS";  // squid's words: TCP_MISS, TCP_TUNNEL, TCP_DENIED, NONE
  unsigned status = 0;
  std::uint64_t bytes = 0;  // to the client
  std::string method;
  std::string url;
  std::optional<Address> peer;
};

// "1286536309.450   1234 192.0.2.7 TCP_MISS/200 1024 GET http://example.org/ - HIER_DIRECT/198.51.100.1 -", with the line break.
std::string access_line(const Access& access, std::chrono::system_clock::time_point now, std::chrono::milliseconds took);

class AccessLog {
 public:
  AccessLog() = default;
  explicit AccessLog(system::Fd file) : file_(std::move(file)) {}
  void write(const Access& access);

 private:
  system::Fd file_;
};

}  // namespace drpf::proxy
