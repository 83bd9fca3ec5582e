// The public ports of this device, as the gateway's API tells them: a value, its text, and its list of numbers. Does no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "core/time.h"

namespace boost::json {
class array;
}

namespace drpf::client {

inline constexpr std::size_t published_ports_max = 65'536;        // more in one report is refused
inline constexpr std::size_t report_size_max = 32 * 1024 * 1024;  // bytes of JSON

struct PublishedPort {
  Address public_address;
  Protocol protocol = Protocol::tcp;
  Port public_port;
  Port local_port;
  auto operator<=>(const PublishedPort&) const = default;
};

// What the gateway says of this device.
struct Report {
  std::string account;
  std::string device;
  std::optional<Address> public_v4{};  // where visitors reach it
  std::vector<PublishedPort> ports;    // only those that are redirected now; sorted, no duplicates
  bool operator==(const Report&) const = default;
};

// One object of GET /v1/self or of its event stream. Names are checked to be plain words: they reach a terminal.
Result<Report> parse_report(std::string_view json);

// Neighbouring ports that are alike, as one line of text has them.
struct PortSpan {
  Address public_address;
  PortRange public_ports{Port{1}};
  PortRange local_ports{Port{1}};
  bool tcp = false;
  bool udp = false;
  bool operator==(const PortSpan&) const = default;
};
std::vector<PortSpan> spans(const std::vector<PublishedPort>& ports);

// "public 198.51.100.1:20000-20004 -> this machine:20000-20004 (tcp+udp)"
std::string to_string(const PortSpan& span);

// The public port numbers, ascending, each once.
std::vector<Port> public_numbers(const std::vector<PublishedPort>& ports);
// Those of them that lead, over TCP, to the same number of this machine: what a program that tells others its own port can use.
std::vector<Port> same_numbers(const std::vector<PublishedPort>& ports);
// The first public IPv4 address, or the first address if there is none; empty without ports.
std::string first_public_address(const std::vector<PublishedPort>& ports);
// "20000,20001"; empty without ports.
std::string comma_separated(const std::vector<Port>& numbers);
// One number per line, each line ended; empty without ports.
std::string ports_file_text(const std::vector<Port>& numbers);

// As an array of objects, for programs that read.
boost::json::array to_json(const std::vector<PublishedPort>& ports);

struct Difference {
  std::vector<PublishedPort> added;
  std::vector<PublishedPort> removed;
};
// Both sorted.
Difference difference(const std::vector<PublishedPort>& before, const std::vector<PublishedPort>& after);

}  // namespace drpf::client
