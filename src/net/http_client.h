// An HTTP/1.1 client for one server, over a unix socket or TCP; each exchange has a connection of its own. On the loop, or, for commands,
// blocking. No TLS, no redirects, no proxies.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "net/byte_stream.h"
#include "net/event_loop.h"
#include "net/http_exchange.h"

namespace drpf::net {

// A response that goes on: newline-delimited JSON. `answered` comes once, then `line` for each line without its newline (heartbeats are not
// shown; of a status other than 200 they are the error's body), at last `ended`, once: with an error, or because the server ended it.
struct LineListener {
  std::function<void(unsigned status)> answered = [](unsigned) {};
  std::function<void(std::string line)> line;
  std::function<void(Status)> ended;
};

class HttpClient {
 public:
  struct Options {
    Duration timeout = std::chrono::seconds(30);      // for a whole exchange, or until a stream has been answered
    Duration silence_max = std::chrono::seconds(40);  // of a stream, then the server is taken for gone
    std::uint64_t body_bytes_max = 64 * 1024 * 1024;
    StreamRoute route = {};
    std::string who = "the gateway";                 // how errors call the server
    std::optional<std::string> host = std::nullopt;  // the Host header; without it the server's address
  };
  using Done = std::function<void(Result<ClientResponse>)>;

  static HttpClient over_unix(std::string socket_path) { return over_unix(std::move(socket_path), {}); }
  static HttpClient over_unix(std::string socket_path, Options options) { return {std::move(socket_path), std::move(options)}; }
  static HttpClient over_tcp(Endpoint server) { return over_tcp(server, {}); }
  static HttpClient over_tcp(Endpoint server, Options options) { return {server, std::move(options)}; }

  // Ends with what is returned, and then calls nothing any more; calls nothing before it has returned. The client may go earlier.
  // Errors: gateway_unreachable (nobody listens), no_permission (the socket's mode), gateway_timeout, gateway_confused (what answers does
  // not speak HTTP), stream_silent. Any status is a success here.
  [[nodiscard]] Watch request(EventLoop& loop, const ClientRequest& request, Done done) const;
  [[nodiscard]] Watch open_stream(EventLoop& loop, std::string_view target, LineListener listener) const;

  // The same on a loop of its own, until it is done: never on a thread whose loop has other things to do.
  Result<ClientResponse> request(const ClientRequest& request) const;
  // A non-empty body is sent as application/json.
  Result<ClientResponse> request(std::string_view method, std::string_view target, std::string_view body = {}) const;

 private:
  HttpClient(StreamPeer server, Options options) : server_(std::move(server)), options_(std::move(options)) {}
  StreamPeer server_;
  Options options_;
};

}  // namespace drpf::net
