// HTTP requests and responses as plain values. Does not read or write them; see http_server.h and http_client.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/result.h"

namespace drpf::net {

// Who is at the other end of a unix socket, as the kernel has it (SO_PEERCRED).
struct LocalPeer {
  std::uint32_t uid = 0;
  std::int32_t pid = 0;
  bool operator==(const LocalPeer&) const = default;
};

struct Request {
  std::string method;                        // "GET", in upper case
  std::vector<std::string> path;             // percent-decoded segments: "/v1/accounts/a%20b" = {"v1", "accounts", "a b"}
  std::map<std::string, std::string> query;  // percent-decoded; the last of several equal names counts
  std::string host;                          // the Host header as it came
  std::string content_type;
  std::string origin;  // as it came: which site a browser asks for
  std::string user_agent;
  std::string soap_action;  // UPnP's
  std::string body;
  std::optional<Endpoint> peer;         // packet source address; none over a unix socket
  std::optional<LocalPeer> local_peer;  // over a unix socket
};

// On a stream that was silent for a while, so that its reader knows that the server is there.
inline constexpr std::string_view heartbeat_line = "{\"event\":\"heartbeat\"}";

// Where a streaming response is written to, on the loop's thread. Lines wait in a queue of limited length; a reader that lets it overflow
// is cut off.
class LineSink {
 public:
  virtual ~LineSink() = default;
  virtual void write(std::string line) = 0;  // without the newline
  // A line that says how things stand, not what has changed: made when the reader has taken what was written before, and never again
  // within HttpLimits::state_pause. Until then a later one stands for it, so a slow reader costs nothing. An empty line is not sent.
  virtual void state(std::function<std::string()> line) = 0;
  virtual void close() = 0;  // after what was written
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  // When set, the body is a stream of newline-delimited JSON: called once after the head is sent. What it returns is kept until the
  // stream has ended, by either side, and destroyed then: put the subscription there.
  std::function<std::shared_ptr<void>(std::shared_ptr<LineSink>)> stream;
};

// To be called once, on the loop's thread.
using Respond = std::function<void(Response)>;

inline constexpr std::size_t path_segments_max = 16;
inline constexpr std::size_t query_parameters_max = 16;

// Splits "/v1/leases?all=1" into Request::path and Request::query. Refuses bad percent codes, NUL, and anything beyond the limits.
struct Target {
  std::vector<std::string> path;
  std::map<std::string, std::string> query;
};
Result<Target> parse_target(std::string_view target);
// The other way: one path segment or query value, everything but unreserved characters (RFC 3986 section 2.3) percent-encoded.
std::string percent_encode(std::string_view text);

}  // namespace drpf::net
