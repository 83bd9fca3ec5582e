// A blocking HTTP/1.1 client for one server, over a unix socket or TCP: for commands and for threads of their own, never for the control
// thread. No TLS, no redirects, no proxies.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"

namespace drpf::net {

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";
  std::string body = {};
  std::string content_type = "application/json";                       // of a body
  std::vector<std::pair<std::string, std::string>> more_headers = {};  // values without control characters: others are refused
};

struct ClientResponse {
  unsigned status = 0;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // all, as they came

  // The first of this name, in whatever case; empty without one.
  std::string_view header(std::string_view name) const;
};

// A response that goes on: newline-delimited JSON.
class LineStream {
 public:
  ~LineStream();
  LineStream(LineStream&&) noexcept;
  LineStream& operator=(LineStream&&) noexcept;

  unsigned status() const;  // when it is not 200, next() gives the lines of the error body
  // The next line without its newline; heartbeats are not shown. None: the server ended the stream, or cancel() was called. A server
  // that is silent for longer than `silence_max` is taken for gone: an error "stream_silent".
  Result<std::optional<std::string>> next(Duration silence_max = std::chrono::seconds(40));
  // From any thread: ends the present and every later next().
  void cancel();

 private:
  friend class HttpClient;
  struct Impl;
  explicit LineStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class HttpClient {
 public:
  struct Options {
    Duration timeout = std::chrono::seconds(30);  // for a whole exchange
    std::uint64_t body_bytes_max = 64 * 1024 * 1024;
    std::optional<std::string> device;  // SO_BINDTODEVICE
    std::optional<std::uint32_t> mark;  // SO_MARK
    std::optional<Address> source;      // bind before connecting
    std::string who = "the gateway";    // how errors call the server
    std::optional<std::string> host;    // the Host header; without it the server's address
  };
  static HttpClient over_unix(std::string socket_path) { return over_unix(std::move(socket_path), {}); }
  static HttpClient over_unix(std::string socket_path, Options options);
  static HttpClient over_tcp(Endpoint server) { return over_tcp(server, {}); }
  static HttpClient over_tcp(Endpoint server, Options options);

  // One exchange on a connection of its own. A non-empty body is sent as application/json. Errors: gateway_unreachable (nobody listens),
  // no_permission (the socket's mode), gateway_timeout, gateway_confused (what answers does not speak HTTP). Any status is a success here.
  Result<ClientResponse> request(std::string_view method, std::string_view target, std::string_view body = {}) const;
  Result<ClientResponse> request(const ClientRequest& request) const;
  Result<LineStream> open_stream(std::string_view target) const;

 private:
  HttpClient(std::variant<std::string, Endpoint> server, Options options) : server_(std::move(server)), options_(std::move(options)) {}
  std::variant<std::string, Endpoint> server_;
  Options options_;
};

}  // namespace drpf::net
