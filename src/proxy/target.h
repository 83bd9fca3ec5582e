// Where a request of HTTP goes to: its address in absolute form, as an authority, or as a path of the proxy itself. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/port.h"
#include "protocol/http/message_head.h"
#include "proxy/host.h"

namespace drpf::proxy {

enum class Scheme : std::uint8_t { http, ftp, tunnel, own };  // tunnel: CONNECT; own: a page of the proxy

struct HttpTarget {
  Scheme scheme = Scheme::http;
  Host host;
  Port port;
  std::string path = "/";   // with the query, as it came; of OPTIONS perhaps "*"
  std::string credentials;  // user:password of an ftp:// address, as it came
};

// "example.org:443"; without `otherwise` the port has to be there.
std::optional<std::pair<Host, Port>> parse_authority(std::string_view text, std::optional<Port> otherwise);

// With the Host field, which has to say the same.
protocol::http::Parsed<HttpTarget> target_of(const protocol::http::RequestHead& head);

}  // namespace drpf::proxy
