#include "net/http_client.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstring>

#include "net/http_message.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::net {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

using Deadline = std::chrono::steady_clock::time_point;
using Parser = http::response_parser<http::string_body>;

constexpr std::uint32_t response_head_bytes_max = 16 * 1024;
constexpr std::size_t line_bytes_max = 16 * 1024 * 1024;  // of a stream; a gateway's whole lease table fits

std::string name_of(const std::variant<std::string, Endpoint>& server) {
  if (const auto* path = std::get_if<std::string>(&server)) return *path;
  return to_string(std::get<Endpoint>(server));
}

// "the gateway at 10.77.0.1:5351"
std::string called(const std::variant<std::string, Endpoint>& server, const HttpClient::Options& options) {
  return options.who + " at " + name_of(server);
}

tl::unexpected<Error> unreachable(const std::variant<std::string, Endpoint>& server, const HttpClient::Options& options, int error) {
  const auto what = "cannot reach " + called(server, options) + ": " + std::strerror(error);
  if (error == EACCES || error == EPERM)
    return fail(failure("no_permission", what, "run it as root, or join the group that owns the socket"));
  if (std::holds_alternative<std::string>(server))
    return fail(failure("gateway_unreachable", what,
                        "the gateway is not running, or its socket is elsewhere: start it with `drpf gateway`, or give --socket PATH"));
  if (options.who != HttpClient::Options{}.who)
    return fail(failure("server_unreachable", what, "check that it runs, and that this is the address where it listens"));
  return fail(failure("gateway_unreachable", what, "check that the tunnel is up and that the gateway runs"));
}

// Waits until the socket is ready for `events`; false when `cancel` became readable instead.
Result<bool> wait_for(int socket, short events, int cancel, Deadline deadline, const std::string& server) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    std::array<pollfd, 2> waits{pollfd{socket, events, 0}, pollfd{cancel, POLLIN, 0}};
    const int ready = left <= 0 ? 0 : ::poll(waits.data(), cancel < 0 ? 1 : 2, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready < 0 && errno != EINTR) return fail(failure("gateway_unreachable", "cannot wait for " + server + ": " + std::strerror(errno)));
    if (ready > 0 && cancel >= 0 && waits[1].revents != 0) return false;
    if (ready > 0) return true;
    if (std::chrono::steady_clock::now() >= deadline)
      return fail(
          failure("gateway_timeout", server + " did not answer in time", "look into the gateway's log; it may be overloaded or stopped"));
  }
}

Result<system::Fd> connect_to(const std::variant<std::string, Endpoint>& server, const HttpClient::Options& options, Deadline deadline) {
  system::SocketAddress address;
  if (const auto* path = std::get_if<std::string>(&server)) {
    const auto of_path = system::to_socket_address(*path);
    if (!of_path) return fail(of_path.error());
    address = *of_path;
  } else {
    address = system::to_socket_address(std::get<Endpoint>(server));
  }
  system::Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return unreachable(server, options, errno);
  if (options.device &&
      ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, options.device->c_str(), static_cast<socklen_t>(options.device->size())) != 0)
    return unreachable(server, options, errno);
  if (options.mark && ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &*options.mark, sizeof *options.mark) != 0)
    return unreachable(server, options, errno);
  if (options.source) {
    const auto source = system::to_socket_address(Endpoint{*options.source, Port{}});
    if (::bind(fd.get(), source.get(), source.size) != 0) return unreachable(server, options, errno);
  }
  if (::connect(fd.get(), address.get(), address.size) == 0) return fd;
  if (errno != EINPROGRESS) return unreachable(server, options, errno);
  if (const auto ready = wait_for(fd.get(), POLLOUT, -1, deadline, called(server, options)); !ready) return fail(ready.error());
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return unreachable(server, options, error);
  return fd;
}

// An open connection on which one request was sent, and the parser of what comes back.
struct Exchange {
  std::string server;
  system::Fd socket;
  std::unique_ptr<Parser> parser = std::make_unique<Parser>();
  std::string received;  // and not yet parsed
  bool peer_closed = false;

  Status send_all(std::string_view text, Deadline deadline);
  // Some more bytes through the parser; true while there may be more to come, false when the response is complete or was cancelled.
  Result<bool> receive_some(int cancel, Deadline deadline);
  Result<bool> confused(const std::string& how) const;
};

Result<bool> Exchange::confused(const std::string& how) const {
  return fail(failure("gateway_confused", "what answers as " + server + " does not speak as it does: " + how,
                      "check that this is the right address or socket"));
}

Status Exchange::send_all(std::string_view text, Deadline deadline) {
  while (!text.empty()) {
    const auto sent = ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      text.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return {};  // the server refused early: its answer is there to be read
    } else if (errno != EAGAIN && errno != EINTR) {
      return fail(failure("gateway_unreachable", "sending to " + server + " failed: " + std::strerror(errno)));
    } else if (const auto ready = wait_for(socket.get(), POLLOUT, -1, deadline, server); !ready) {
      return fail(ready.error());
    }
  }
  return {};
}

Result<bool> Exchange::receive_some(int cancel, Deadline deadline) {
  const auto ready = wait_for(socket.get(), POLLIN, cancel, deadline, server);
  if (!ready) return fail(ready.error());
  if (!*ready) return false;
  std::array<char, 16384> chunk;
  const auto size = ::recv(socket.get(), chunk.data(), chunk.size(), 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  boost::system::error_code error;
  if (size <= 0) {
    peer_closed = true;
    if (!parser->is_done() && parser->got_some()) parser->put_eof(error);  // it may have said nothing at all
    if (error || !parser->is_done()) return confused("it closed the connection in the middle");
    return false;
  }
  received.append(chunk.data(), static_cast<std::size_t>(size));
  while (!received.empty() && !parser->is_done()) {
    const auto used = parser->put(boost::asio::buffer(received), error);
    received.erase(0, used);
    if (error == http::error::need_more) break;
    if (error) return confused(error.message());
    if (used == 0) break;
  }
  return !parser->is_done();
}

bool is_one_line(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

Result<Exchange> begin(const std::variant<std::string, Endpoint>& server, const HttpClient::Options& options, Deadline deadline,
                       const ClientRequest& request) {
  Exchange exchange;
  exchange.server = called(server, options);
  std::string text;
  text.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\nHost: ");
  text.append(options.host ? *options.host : std::holds_alternative<Endpoint>(server) ? name_of(server) : "localhost");
  text.append("\r\nUser-Agent: drpf\r\nAccept: application/json\r\nConnection: close\r\n");
  if (!request.body.empty() || request.method == "POST" || request.method == "PATCH")
    text.append("Content-Type: ")
        .append(request.content_type)
        .append("\r\nContent-Length: ")
        .append(std::to_string(request.body.size()))
        .append("\r\n");
  for (const auto& [name, value] : request.more_headers) {
    if (!is_one_line(name) || !is_one_line(value))
      return fail(invalid("bad_header", "a header for " + exchange.server + " holds a line break or another control character"));
    text.append(name).append(": ").append(value).append("\r\n");
  }
  text.append("\r\n").append(request.body);
  auto socket = connect_to(server, options, deadline);
  if (!socket) return fail(socket.error());
  exchange.socket = std::move(*socket);
  exchange.parser->header_limit(response_head_bytes_max);
  exchange.parser->eager(true);
  if (const auto sent = exchange.send_all(text, deadline); !sent) return fail(sent.error());
  return exchange;
}

}  // namespace

HttpClient HttpClient::over_unix(std::string socket_path, Options options) { return {std::move(socket_path), std::move(options)}; }
HttpClient HttpClient::over_tcp(Endpoint server, Options options) { return {server, std::move(options)}; }

std::string_view ClientResponse::header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const auto& one) { return beast::iequals(one.first, name); });
  return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

Result<ClientResponse> HttpClient::request(std::string_view method, std::string_view target, std::string_view body) const {
  ClientRequest request;
  request.method = method;
  request.target = target;
  request.body = body;
  return this->request(request);
}

Result<ClientResponse> HttpClient::request(const ClientRequest& request) const {
  const auto deadline = std::chrono::steady_clock::now() + options_.timeout;
  auto exchange = begin(server_, options_, deadline, request);
  if (!exchange) return fail(exchange.error());
  exchange->parser->body_limit(options_.body_bytes_max);
  while (true) {
    const auto more = exchange->receive_some(-1, deadline);
    if (!more) return fail(more.error());
    if (!*more) break;
  }
  auto message = exchange->parser->release();
  ClientResponse response;
  response.status = message.result_int();
  response.content_type = std::string(message[http::field::content_type]);
  for (const auto& field : message) response.headers.emplace_back(field.name_string(), field.value());
  response.body = std::move(message.body());
  return response;
}

struct LineStream::Impl {
  Exchange exchange;
  system::Fd cancelled{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::atomic<bool> is_cancelled = false;
  std::string lines;  // received and not yet given out
};

LineStream::LineStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LineStream::~LineStream() = default;
LineStream::LineStream(LineStream&&) noexcept = default;
LineStream& LineStream::operator=(LineStream&&) noexcept = default;

unsigned LineStream::status() const { return impl_->exchange.parser->get().result_int(); }

void LineStream::cancel() {
  impl_->is_cancelled = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(impl_->cancelled.get(), &one, sizeof one);  // fails only when it is already set
}

Result<std::optional<std::string>> LineStream::next(Duration silence_max) {
  auto& exchange = impl_->exchange;
  auto& lines = impl_->lines;
  while (!impl_->is_cancelled) {
    lines += std::exchange(exchange.parser->get().body(), {});
    if (const auto end = lines.find('\n'); end != std::string::npos) {
      auto line = lines.substr(0, end);
      lines.erase(0, end + 1);
      if (line.empty() || line == heartbeat_line) continue;
      return line;
    }
    if (exchange.parser->is_done() || exchange.peer_closed) {
      if (lines.empty()) return std::nullopt;
      return std::exchange(lines, {});
    }
    if (lines.size() > line_bytes_max) return fail(exchange.confused("it sends a line without an end").error());
    const auto deadline = std::chrono::steady_clock::now() + silence_max;
    if (const auto more = exchange.receive_some(impl_->cancelled.get(), deadline); !more) {
      if (more.error().code != "gateway_timeout") return fail(more.error());
      return fail(
          failure("stream_silent", exchange.server + " has been silent for too long", "the connection to it is broken: connect again"));
    }
  }
  return std::nullopt;
}

Result<LineStream> HttpClient::open_stream(std::string_view target) const {
  const auto deadline = std::chrono::steady_clock::now() + options_.timeout;
  ClientRequest request;
  request.target = target;
  auto exchange = begin(server_, options_, deadline, request);
  if (!exchange) return fail(exchange.error());
  exchange->parser->body_limit(boost::none);
  while (!exchange->parser->is_header_done()) {
    const auto more = exchange->receive_some(-1, deadline);
    if (!more) return fail(more.error());
  }
  auto impl = std::make_unique<LineStream::Impl>();
  impl->exchange = std::move(*exchange);
  return LineStream(std::move(impl));
}

}  // namespace drpf::net
