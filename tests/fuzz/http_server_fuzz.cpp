// Any bytes on a connection to the API's server, in two parts: whatever it makes of them, it answers HTTP or closes, and is free again.
// First byte: where the second part begins.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "net/http_server.h"
#include "system/fd.h"

namespace {

using namespace drpf;

constexpr int turns_max = 200;
constexpr auto turn = std::chrono::milliseconds(1);

void must(bool good) {
  if (!good) std::abort();
}

net::Response answer(const net::Request& request) {
  must(!request.method.empty() && request.path.size() <= net::path_segments_max);
  net::Response response;
  if (!request.path.empty() && request.path.front() == "stream") {
    response.stream = [](const std::shared_ptr<net::LineSink>& sink) {
      sink->write("{}");
      sink->close();
      return std::shared_ptr<void>();
    };
    return response;
  }
  response.body = fmt::format(R"({{"length":{}}})", request.body.size());
  return response;
}

struct World {
  World() {
    net::HttpLimits limits;
    limits.head_bytes = 1024;
    limits.body_bytes = 512;
    limits.read_timeout = limits.write_timeout = std::chrono::milliseconds(100);
    auto listening = net::HttpServer::listen_unix(loop, path, answer, limits);
    must(listening.has_value());
    server = std::move(*listening);
  }
  std::string path = fmt::format("/tmp/http_server_fuzz.{}", ::getpid());
  net::EventLoop loop;
  std::unique_ptr<net::HttpServer> server;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto first = text.substr(0, data[0]);
  const system::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, world.path.c_str(), world.path.size() + 1);
  must(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  (void)::send(socket.get(), first.data(), first.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (first.size() < text.size()) {
    world.loop.run_for(turn);
    (void)::send(socket.get(), text.data() + first.size(), text.size() - first.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  ::shutdown(socket.get(), SHUT_WR);
  std::string answered;
  for (int i = 0; i < turns_max; ++i) {
    world.loop.run_for(turn);
    std::array<char, 4096> chunk;
    const auto got = ::recv(socket.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (got > 0) answered.append(chunk.data(), static_cast<std::size_t>(got));
    if (got == 0) {
      must(answered.empty() || answered.starts_with("HTTP/1."));
      for (int j = 0; j < turns_max && world.server->connections() > 0; ++j) world.loop.run_for(turn);
      must(world.server->connections() == 0);
      return 0;
    }
    if (got < 0 && errno == ECONNRESET) return 0;
  }
  std::abort();  // it holds on to a connection whose other side has said all
}
