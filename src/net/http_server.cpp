#include "net/http_server.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <exception>
#include <map>
#include <new>
#include <set>

#include "net/http_head.h"
#include "net/listen_socket.h"
#include "system/socket_address.h"

namespace drpf::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

using Protocol = asio::generic::stream_protocol;
using Stream = beast::basic_stream<Protocol>;
using RequestParser = http::request_parser<http::string_body>;
using Acceptor = asio::basic_socket_acceptor<Protocol>;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

constexpr Duration accept_retry = std::chrono::milliseconds(100);  // when the process is out of descriptors
constexpr std::size_t write_part_bytes = 64 * 1024;
constexpr std::size_t drain_bytes_max = 256 * 1024;  // read and thrown away so that a refusal reaches its reader
constexpr Duration drain_timeout = std::chrono::seconds(1);

// For what is refused before a handler could see it, in the form that the API gives its errors.
Response refused(unsigned status, std::string_view code, std::string_view message, std::string_view cure) {
  Response response;
  response.status = status;
  response.body.append(R"({"error":{"code":")").append(code).append(R"(","message":")").append(message);
  response.body.append(R"(","cure":")").append(cure).append("\"}}\n");
  return response;
}

Response refusal_of(const error_code& error, const HttpLimits& limits) {
  if (error == http::error::body_limit)
    return refused(413, "body_too_large", "the body is larger than " + std::to_string(limits.body_bytes) + " bytes", "send less at once");
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return refused(431, "head_too_large", "the request's head is larger than " + std::to_string(limits.head_bytes) + " bytes",
                   "send fewer and shorter header fields");
  return refused(400, "request_malformed", "this is not an HTTP/1.1 request", "speak HTTP/1.1 to this port");
}

std::optional<LocalPeer> local_peer_of(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return LocalPeer{credentials.uid, credentials.pid};
}

std::string head_of(const Response& response, bool keep_alive) {
  const auto reason = http::obsolete_reason(static_cast<http::status>(response.status));
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  head.append(reason.data(), reason.size()).append("\r\nServer: drpf\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
  if (response.stream || !response.body.empty()) head.append("Content-Type: ").append(response.content_type).append("\r\n");
  // A stream ends with its connection.
  if (!response.stream && response.status != 204)
    head.append("Content-Length: ").append(std::to_string(response.body.size())).append("\r\n");
  if (!keep_alive) head.append("Connection: close\r\n");
  return head.append("\r\n");
}

// A stream's lines between the one who writes them and the coroutine that sends them.
class QueuedSink final : public LineSink {
 public:
  QueuedSink(asio::io_context& context, std::size_t bytes_max) : wake_(context), bytes_max_(bytes_max) {}

  void write(std::string line) override {
    if (closed_) return;
    // The reader is too slow. One line alone may be as long as it is.
    if (!pending_.empty() && pending_.size() + line.size() + 1 > bytes_max_) return abandon();
    pending_ += line;
    pending_ += '\n';
    wake_.cancel();
  }
  void state(std::function<std::string()> line) override {
    if (closed_) return;
    state_ = std::move(line);
    wake_.cancel();
  }
  void close() override {
    closed_ = true;
    wake_.cancel();
  }
  void abandon() {
    pending_.clear();
    state_ = nullptr;
    close();
  }
  bool finished() const { return closed_ && pending_.empty() && !state_; }
  // When a state that waits may be sent.
  std::optional<asio::steady_timer::time_point> state_due() const { return state_ ? std::optional(state_after_) : std::nullopt; }
  std::string take(asio::steady_timer::time_point now, Duration pause) {
    auto lines = std::exchange(pending_, {});
    if (!lines.empty() || !state_ || (!closed_ && now < state_after_)) return lines;
    lines = std::exchange(state_, nullptr)();
    state_after_ = now + pause;
    if (!lines.empty()) lines += '\n';
    return lines;
  }
  asio::steady_timer& wake() { return wake_; }

 private:
  asio::steady_timer wake_;
  std::size_t bytes_max_;
  std::string pending_;
  std::function<std::string()> state_;
  asio::steady_timer::time_point state_after_{};
  bool closed_ = false;
};

// A response between the handler that gives it and the coroutine that sends it.
struct PendingResponse {
  explicit PendingResponse(asio::io_context& context) : wake(context, asio::steady_timer::time_point::max()) {}
  asio::steady_timer wake;
  std::optional<Response> response;
};

struct Connection {
  explicit Connection(asio::basic_stream_socket<Protocol> socket) : stream(std::move(socket)) {}
  Stream stream;
  std::optional<Endpoint> peer;
  std::optional<LocalPeer> local_peer;
  std::string received;  // and not yet parsed
  std::optional<HeadFault> fault;
  std::optional<RequestParser> parser;
  std::shared_ptr<void> stream_keeper;
  std::shared_ptr<QueuedSink> sink;
  std::shared_ptr<PendingResponse> pending;
  std::optional<asio::steady_timer> turn;
  bool streams = false;  // counted with its peer

  void release_stream() {
    if (sink) sink->abandon();
    sink = nullptr;
    stream_keeper = nullptr;
  }
};

}  // namespace

// What one source address has of what all share.
struct OfPeer {
  std::size_t connections = 0;
  std::size_t streams = 0;
  asio::steady_timer::time_point paid_until{};  // by each request one interval later
};

struct HttpServer::Impl : std::enable_shared_from_this<HttpServer::Impl> {
  Impl(asio::io_context& the_context, DeferringHandler the_handler, HttpLimits the_limits)
      : context(the_context), acceptor(the_context), handler(std::move(the_handler)), limits(the_limits) {}

  Status start(system::Fd socket);
  void stop();
  bool leaves_reserve(int descriptor) const;
  bool admit(Connection& connection);
  bool admit_stream(Connection& connection);
  asio::steady_timer::duration time_to_turn(const Connection& connection);
  void forget(const std::shared_ptr<Connection>& connection);
  void answer(const Request& request, const Respond& respond) const;

  static asio::awaitable<void> accept_all(std::shared_ptr<Impl> self);
  static asio::awaitable<void> serve(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection);
  static asio::awaitable<void> exchange_all(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection);
  static asio::awaitable<Response> respond(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection, Request request);
  static asio::awaitable<error_code> receive(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection);
  static asio::awaitable<bool> send(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection, Response response, bool keep_alive,
                                    bool head_only);
  static asio::awaitable<bool> write_all(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection, std::string text);
  static asio::awaitable<void> send_stream(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection, Response response);
  static asio::awaitable<void> drain(std::shared_ptr<Connection> connection);

  asio::io_context& context;
  Acceptor acceptor;
  DeferringHandler handler;
  HttpLimits limits;
  bool stopped = false;
  std::set<std::shared_ptr<Connection>> open;
  std::map<Address, OfPeer> peers;
  std::optional<Port> port;  // of a TCP address
  std::string socket_path;   // of a unix socket, with the file's identity, to remove it at the end
  dev_t socket_device = 0;
  ino_t socket_inode = 0;
};

Status HttpServer::Impl::start(system::Fd socket) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  error_code error;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0)
    acceptor.assign(Protocol(name.ss_family, name.ss_family == AF_UNIX ? 0 : IPPROTO_TCP), socket.get(), error);
  if (error || !acceptor.is_open())
    return fail(failure("listen_failed", "cannot wait for connections on a listening socket: " + error.message()));
  socket.release();
  if (const auto local = system::from_socket_address(reinterpret_cast<const sockaddr*>(&name), size)) port = local->port;
  asio::co_spawn(context, accept_all(shared_from_this()), asio::detached);
  return {};
}

void HttpServer::Impl::stop() {
  stopped = true;
  handler = nullptr;
  error_code ignored;
  acceptor.close(ignored);
  for (const auto& connection : open) {
    connection->release_stream();
    if (connection->pending) connection->pending->wake.cancel();
    if (connection->turn) connection->turn->cancel();
    connection->stream.close();
  }
  struct stat file{};
  if (!socket_path.empty() && ::lstat(socket_path.c_str(), &file) == 0 && file.st_dev == socket_device && file.st_ino == socket_inode)
    ::unlink(socket_path.c_str());
}

asio::awaitable<void> HttpServer::Impl::accept_all(std::shared_ptr<Impl> self) {
  while (!self->stopped) {
    asio::basic_stream_socket<Protocol> socket(self->context);
    Protocol::endpoint from;
    const auto [error] = co_await self->acceptor.async_accept(socket, from, as_result);
    if (self->stopped || error == asio::error::operation_aborted) co_return;
    if (error) {  // out of descriptors, most likely: the backlog waits
      asio::steady_timer pause(self->context, accept_retry);
      const auto [cancelled] = co_await pause.async_wait(as_result);
      if (cancelled) co_return;
      continue;
    }
    auto connection = std::make_shared<Connection>(std::move(socket));
    connection->peer = system::from_socket_address(from.data(), static_cast<socklen_t>(from.size()));
    if (!connection->peer) connection->local_peer = local_peer_of(connection->stream.socket().native_handle());
    if (self->admit(*connection)) {
      self->open.insert(connection);
      asio::co_spawn(self->context, serve(self, connection), asio::detached);
    }
  }
}

// Descriptors are numbered from the lowest on.
bool HttpServer::Impl::leaves_reserve(int descriptor) const {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) != 0 || static_cast<rlim_t>(descriptor) + limits.descriptors_reserved < limit.rlim_cur;
}

bool HttpServer::Impl::admit(Connection& connection) {
  if (peers.size() > limits.connections)  // who is gone is remembered for as long as his requests are not paid for
    std::erase_if(peers, [now = asio::steady_timer::clock_type::now()](const auto& one) {
      return one.second.connections == 0 && one.second.paid_until <= now;
    });
  auto* const of_peer = connection.peer ? &peers[connection.peer->address] : nullptr;
  if (leaves_reserve(connection.stream.socket().native_handle()) && open.size() < limits.connections &&
      (!of_peer || of_peer->connections < limits.connections_per_peer)) {
    if (of_peer) ++of_peer->connections;
    return true;
  }
  static constexpr std::string_view busy =
      "HTTP/1.1 503 Service Unavailable\r\nServer: drpf\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n\r\n";
  // A fresh socket's buffer takes this at once; if not, the peer sees only the close.
  [[maybe_unused]] const auto sent =
      ::send(connection.stream.socket().native_handle(), busy.data(), busy.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return false;
}

bool HttpServer::Impl::admit_stream(Connection& connection) {
  if (!connection.peer) return true;
  auto& streams = peers[connection.peer->address].streams;
  if (streams >= limits.streams_per_peer) return false;
  ++streams;
  return connection.streams = true;
}

asio::steady_timer::duration HttpServer::Impl::time_to_turn(const Connection& connection) {
  if (!connection.peer || limits.requests_per_peer_per_s == 0) return {};
  const auto interval = asio::steady_timer::duration(std::chrono::seconds(1)) / limits.requests_per_peer_per_s;
  const auto now = asio::steady_timer::clock_type::now();
  auto& paid_until = peers[connection.peer->address].paid_until;
  paid_until = std::max(paid_until, now) + interval;
  return paid_until - now - interval * limits.requests_burst;
}

void HttpServer::Impl::forget(const std::shared_ptr<Connection>& connection) {
  connection->release_stream();
  if (open.erase(connection) == 0 || !connection->peer) return;
  auto& peer = peers[connection->peer->address];
  --peer.connections;
  if (connection->streams) --peer.streams;
  if (peer.connections == 0 && peer.paid_until <= asio::steady_timer::clock_type::now()) peers.erase(connection->peer->address);
}

asio::awaitable<void> HttpServer::Impl::serve(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection) {
  co_await exchange_all(self, connection);
  self->forget(connection);
  connection->stream.close();
}

asio::awaitable<void> HttpServer::Impl::exchange_all(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection) {
  const auto& limits = self->limits;
  while (!self->stopped) {
    auto& parser = connection->parser.emplace();
    parser.header_limit(limits.head_bytes);
    parser.body_limit(limits.body_bytes);
    parser.eager(true);
    connection->stream.expires_after(limits.read_timeout);
    const auto error = co_await receive(self, connection);
    if (self->stopped) co_return;
    if (error) {
      // The HTTP parser's own errors are answered; a peer that is gone or slow is not.
      if (error.category() != make_error_code(http::error::bad_method).category() || error == http::error::end_of_stream ||
          error == http::error::partial_message)
        co_return;
      const auto& fault = connection->fault;
      Response response =
          fault ? refused(fault->status, "request_malformed", fault->message, "send it as RFC 9112 says") : refusal_of(error, limits);
      if (co_await send(self, connection, std::move(response), false, false)) co_await drain(connection);
      co_return;
    }
    auto message = parser.release();
    const bool keep_alive = message.keep_alive();
    const bool head_only = message.method() == http::verb::head;
    Request request;
    request.method = std::string(message.method_string());
    request.host = std::string(message[http::field::host]);
    request.content_type = std::string(message[http::field::content_type]);
    request.origin = std::string(message[http::field::origin]);
    request.user_agent = std::string(message[http::field::user_agent]);
    request.soap_action = std::string(message["SOAPAction"]);
    request.body = std::move(message.body());
    request.peer = connection->peer;
    request.local_peer = connection->local_peer;
    if (const auto wait = self->time_to_turn(*connection); wait.count() > 0) {
      connection->turn.emplace(self->context, wait);
      (void)co_await connection->turn->async_wait(as_result);
      if (self->stopped) co_return;
    }
    Response response;
    if (auto target = parse_target(std::string_view(message.target().data(), message.target().size()))) {
      request.path = std::move(target->path);
      request.query = std::move(target->query);
      response = co_await respond(self, connection, std::move(request));
      if (self->stopped) co_return;
    } else {
      response = refused(400, target.error().code, target.error().message, target.error().cure);
    }
    if (response.stream && !self->admit_stream(*connection))
      response = refused(503, "too_many_streams",
                         "there are " + std::to_string(limits.streams_per_peer) + " streams of this address already", "read one of those");
    if (response.stream) {
      co_await send_stream(self, connection, std::move(response));
      co_return;
    }
    if (!co_await send(self, connection, std::move(response), keep_alive, head_only)) co_return;
  }
}

// One whole request into the parser. What a client sends ahead of our answer stays in connection->received.
asio::awaitable<error_code> HttpServer::Impl::receive(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection) {
  auto& parser = *connection->parser;
  std::array<char, 8192> chunk;
  bool told_to_go_on = false;
  while (true) {
    error_code error;
    // The parser takes a head as a whole, so until then all of it is here.
    if (const auto end = connection->received.find("\r\n\r\n"); !parser.is_header_done() && end < self->limits.head_bytes) {
      connection->fault = fault_in_head(std::string_view(connection->received).substr(0, end + 2), self->port);
      if (connection->fault) co_return make_error_code(http::error::bad_field);
    }
    connection->received.erase(0, parser.put(asio::buffer(connection->received), error));
    if (error && error != http::error::need_more) co_return error;
    if (parser.is_done() || self->stopped) co_return error_code{};
    if (parser.is_header_done() && !told_to_go_on && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      told_to_go_on = true;
      const auto [write_error, written] = co_await asio::async_write(connection->stream, asio::buffer(go_on), as_result);
      if (write_error) co_return write_error;
    }
    const auto [read_error, size] = co_await connection->stream.async_read_some(asio::buffer(chunk), as_result);
    if (read_error) co_return read_error;
    connection->received.append(chunk.data(), size);
  }
}

asio::awaitable<Response> HttpServer::Impl::respond(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection, Request request) {
  const auto pending = std::make_shared<PendingResponse>(self->context);
  self->answer(request, [pending](Response response) {
    if (pending->response) return;
    pending->response = std::move(response);
    pending->wake.cancel();
  });
  if (!pending->response) {
    connection->pending = pending;
    (void)co_await pending->wake.async_wait(as_result);
    connection->pending = nullptr;
  }
  // None only when the server has been stopped meanwhile.
  co_return pending->response ? std::move(*pending->response) : Response{};
}

void HttpServer::Impl::answer(const Request& request, const Respond& respond) const {
  try {
    handler(request, respond);
  } catch (const std::bad_alloc&) {
    // What the resource had begun may be half done: the process ends, and the next one begins with what was committed.
    std::terminate();
  } catch (const std::exception& exception) {
    // A resource's bug must not take the gateway down with it.
    spdlog::error(request.method + " failed: " + exception.what());
    respond(refused(500, "internal", "the gateway could not answer this request", "look into the gateway's log"));
  }
}

// In parts, each in its time: a long text on a slow line is no reason to give up, one that does not get on is.
asio::awaitable<bool> HttpServer::Impl::write_all(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection, std::string text) {
  for (std::size_t written = 0; written < text.size();) {
    connection->stream.expires_after(self->limits.write_timeout);
    const auto part = asio::buffer(text.data() + written, std::min(text.size() - written, write_part_bytes));
    const auto [error, size] = co_await asio::async_write(connection->stream, part, as_result);
    if (error || self->stopped) co_return false;
    written += size;
  }
  co_return true;
}

// True when the connection can go on (or be drained).
asio::awaitable<bool> HttpServer::Impl::send(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection, Response response,
                                             bool keep_alive, bool head_only) {
  std::string text = head_of(response, keep_alive);
  if (!head_only) text += response.body;
  if (!co_await write_all(self, connection, std::move(text))) co_return false;
  if (keep_alive) co_return true;
  error_code ignored;
  connection->stream.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  co_return true;
}

asio::awaitable<void> HttpServer::Impl::send_stream(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection, Response response) {
  response.content_type = "application/x-ndjson";
  const auto head = head_of(response, false);
  auto& stream = connection->stream;
  stream.expires_after(self->limits.write_timeout);
  const auto [head_error, head_size] = co_await asio::async_write(stream, asio::buffer(head), as_result);
  if (head_error || self->stopped) co_return;
  const auto sink = std::make_shared<QueuedSink>(self->context, self->limits.stream_bytes);
  connection->sink = sink;
  connection->stream_keeper = response.stream(sink);
  response.stream = nullptr;
  // A reader has nothing more to say: whatever arrives now is its good-bye.
  stream.socket().async_wait(asio::socket_base::wait_read, [sink](const error_code&) { sink->abandon(); });
  auto silent_since = asio::steady_timer::clock_type::now();
  while (!sink->finished()) {
    const auto now = asio::steady_timer::clock_type::now();
    const auto heartbeat_at = silent_since + self->limits.heartbeat;
    std::string lines = sink->take(now, self->limits.state_pause);
    if (lines.empty()) {
      if (sink->finished()) break;
      if (now < heartbeat_at) {
        sink->wake().expires_at(std::min(heartbeat_at, sink->state_due().value_or(heartbeat_at)));
        (void)co_await sink->wake().async_wait(as_result);
        continue;
      }
      (lines = heartbeat_line) += '\n';
    }
    if (!co_await write_all(self, connection, std::move(lines))) co_return;
    silent_since = asio::steady_timer::clock_type::now();
  }
  error_code ignored;
  stream.socket().shutdown(asio::socket_base::shutdown_send, ignored);
}

// Closing with unread bytes in the socket would make the kernel send a reset, which can overtake the answer.
asio::awaitable<void> HttpServer::Impl::drain(std::shared_ptr<Connection> connection) {
  std::array<char, 4096> scrap;
  connection->stream.expires_after(drain_timeout);
  for (std::size_t drained = 0; drained < drain_bytes_max;) {
    const auto [error, size] = co_await connection->stream.async_read_some(asio::buffer(scrap), as_result);
    if (error) co_return;
    drained += size;
  }
}

namespace {

DeferringHandler at_once(HttpHandler handler) {
  return [handler = std::move(handler)](const Request& request, const Respond& respond) { respond(handler(request)); };
}

}  // namespace

HttpServer::HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() { impl_->stop(); }

Result<std::unique_ptr<HttpServer>> HttpServer::listen_unix(EventLoop& loop, const std::string& path, HttpHandler handler,
                                                            HttpLimits limits) {
  return listen_unix(loop, path, at_once(std::move(handler)), limits);
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen_unix(EventLoop& loop, const std::string& path, DeferringHandler handler,
                                                            HttpLimits limits) {
  auto socket = listen_on_unix_socket(path);
  if (!socket) return fail(socket.error());
  limits.descriptors_reserved /= 2;  // administrators get in when devices have all that they may have
  auto impl = std::make_shared<Impl>(loop.context(), std::move(handler), limits);
  struct stat file{};
  if (::lstat(path.c_str(), &file) == 0) {
    impl->socket_path = path;
    impl->socket_device = file.st_dev;
    impl->socket_inode = file.st_ino;
  }
  if (const auto started = impl->start(std::move(*socket)); !started) return fail(started.error());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen_tcp(EventLoop& loop, const Endpoint& on, HttpHandler handler, HttpLimits limits,
                                                           const std::optional<std::string>& device) {
  return listen_tcp(loop, on, at_once(std::move(handler)), limits, device);
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen_tcp(EventLoop& loop, const Endpoint& on, DeferringHandler handler, HttpLimits limits,
                                                           const std::optional<std::string>& device) {
  auto socket = listen_on_tcp(on, device);
  if (!socket) return fail(socket.error());
  auto impl = std::make_shared<Impl>(loop.context(), std::move(handler), limits);
  if (const auto started = impl->start(std::move(*socket)); !started) return fail(started.error());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

Endpoint HttpServer::endpoint() const {
  error_code error;
  const auto local = impl_->acceptor.local_endpoint(error);
  return (error ? std::nullopt : system::from_socket_address(local.data(), static_cast<socklen_t>(local.size()))).value_or(Endpoint{});
}

std::size_t HttpServer::connections() const { return impl_->open.size(); }

}  // namespace drpf::net
