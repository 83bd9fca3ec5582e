// Any bytes as the answer of what listens where a gateway is expected, in two parts: an exchange and a stream end with a value or an
// error. First byte: where the second part begins.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "net/http_client.h"
#include "system/fd.h"

namespace {

using namespace drpf;

constexpr std::size_t lines_max = 1 << 20;

void must(bool good) {
  if (!good) std::abort();
}

// Answers each connection with the same bytes, from a thread of its own: the client waits for them.
class Answerer {
 public:
  Answerer() : listening_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    ::unlink(path.c_str());
    must(::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    must(::listen(listening_.get(), 4) == 0);
    std::thread([this] { serve(); }).detach();
  }
  void give(std::string_view first, std::string_view second) {
    const std::lock_guard lock(mutex_);
    first_ = first;
    second_ = second;
  }

  const std::string path = fmt::format("/tmp/http_client_fuzz.{}", ::getpid());

 private:
  void serve() {
    while (true) {
      const system::Fd client(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      std::array<char, 4096> request;
      (void)::recv(client.get(), request.data(), request.size(), 0);
      const std::lock_guard lock(mutex_);
      for (const auto& part : {first_, second_}) (void)::send(client.get(), part.data(), part.size(), MSG_NOSIGNAL);
    }
  }

  system::Fd listening_;
  std::mutex mutex_;
  std::string first_, second_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto& answerer = *new Answerer;  // its thread lives as long as the process
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  answerer.give(text.substr(0, data[0]), text.substr(std::min<std::size_t>(data[0], text.size())));
  net::HttpClient::Options options;
  options.timeout = std::chrono::seconds(5);
  options.silence_max = std::chrono::seconds(5);
  options.body_bytes_max = 4096;
  const auto client = net::HttpClient::over_unix(answerer.path, options);
  const auto response = client.request("GET", "/v1/self");
  if (response ? response->body.size() > options.body_bytes_max : response.error().code == "gateway_timeout") std::abort();
  net::EventLoop loop;
  std::size_t lines = 0;
  std::optional<Status> ended;
  net::LineListener listener;
  listener.line = [&](const std::string& line) {
    must(++lines < lines_max);
    must(line.find('\n') == std::string::npos);
  };
  listener.ended = [&](Status status) { ended = std::move(status); };
  const auto stream = client.open_stream(loop, "/v1/self/events", std::move(listener));
  must(loop.run_until([&] { return ended.has_value(); }, std::chrono::seconds(10)));
  must(*ended || (ended->error().code != "stream_silent" && ended->error().code != "gateway_timeout"));
  return 0;
}
