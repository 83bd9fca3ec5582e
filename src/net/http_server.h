// An HTTP/1.1 server on a unix socket or a TCP address. It reads requests within limits and writes what the handler answers; it knows no
// resource. Everything, the handler included, runs on the loop's thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "net/event_loop.h"
#include "net/http_message.h"

namespace drpf::net {

struct HttpLimits {
  std::uint32_t head_bytes = 16 * 1024;
  std::uint64_t body_bytes = 64 * 1024;
  std::size_t connections = 256;              // more are answered 503 and closed
  std::size_t connections_per_peer = 32;      // of one TCP source address
  std::size_t streams_per_peer = 4;           // of those; more are answered 503
  std::uint32_t requests_per_peer_per_s = 0;  // after a burst the next ones wait for their turn; 0 = no limit
  std::uint32_t requests_burst = 100;
  Duration read_timeout = std::chrono::seconds(10);   // for a whole request, and for the pause between two
  Duration write_timeout = std::chrono::seconds(10);  // for each part of a response or stream
  Duration heartbeat = std::chrono::seconds(15);      // a line {"event":"heartbeat"} on a stream that is silent this long
  std::size_t stream_bytes = 1024 * 1024;             // waiting behind the first line for one stream's reader
  // Of this process: what clients may not take, so that rules, interfaces and the store can be looked after whatever they do.
  std::uint64_t descriptors_reserved = 64;
  Duration state_pause = std::chrono::milliseconds(50);  // between two lines of LineSink::state()
};

using HttpHandler = std::function<Response(const Request&)>;
// Answers later: calls `respond` once, on the loop's thread, in the call or after it. Who never calls it keeps the connection.
using DeferringHandler = std::function<void(const Request&, Respond)>;

class HttpServer {
 public:
  // Access is by the file's mode (0660) and owner. A socket file that nobody answers on is replaced; one that answers is left alone and
  // an error.
  static Result<std::unique_ptr<HttpServer>> listen_unix(EventLoop& loop, const std::string& path, HttpHandler handler,
                                                         HttpLimits limits = {});
  static Result<std::unique_ptr<HttpServer>> listen_unix(EventLoop& loop, const std::string& path, DeferringHandler handler,
                                                         HttpLimits limits = {});
  // `device` binds to a network interface (SO_BINDTODEVICE), so that the address cannot be reached over another. Port 0 takes a free one.
  static Result<std::unique_ptr<HttpServer>> listen_tcp(EventLoop& loop, const Endpoint& on, HttpHandler handler, HttpLimits limits = {},
                                                        const std::optional<std::string>& device = std::nullopt);
  static Result<std::unique_ptr<HttpServer>> listen_tcp(EventLoop& loop, const Endpoint& on, DeferringHandler handler,
                                                        HttpLimits limits = {}, const std::optional<std::string>& device = std::nullopt);
  // Closes all connections and removes the socket file. On the loop's thread, or when the loop does not run.
  ~HttpServer();

  Endpoint endpoint() const;  // of a TCP server: with the port that was taken
  std::size_t connections() const;

 private:
  struct Impl;
  explicit HttpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with its connections' coroutines, which end after the next turn of the loop
};

}  // namespace drpf::net
