#include "proxy/target.h"

#include <algorithm>

#include "core/text.h"

namespace drpf::proxy {
namespace {

using protocol::http::Parsed;
using protocol::http::refuse;

constexpr Port http_port{80};
constexpr Port ftp_port{21};

std::optional<Port> parse_port_number(std::string_view text) {
  if (text.empty() || text.size() > 5 || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  unsigned value = 0;
  for (const char digit : text) value = value * 10 + static_cast<unsigned>(digit - '0');
  if (value == 0 || value > 65535) return std::nullopt;
  return Port{static_cast<std::uint16_t>(value)};
}

Parsed<HttpTarget> absolute_target(std::string_view target) {
  HttpTarget out;
  if (is_same_word(target.substr(0, 7), "http://")) {
    target.remove_prefix(7);
  } else if (is_same_word(target.substr(0, 6), "ftp://")) {
    out.scheme = Scheme::ftp;
    target.remove_prefix(6);
  } else if (is_same_word(target.substr(0, 8), "https://")) {
    return refuse(400, "an https:// address comes as CONNECT, for the proxy must not read what is in it");
  } else {
    return refuse(400, "the address is neither http:// nor ftp://");
  }
  if (target.find('#') != std::string_view::npos) return refuse(400, "the address has a fragment");
  const auto end = std::min(target.find_first_of("/?"), target.size());
  auto authority = target.substr(0, end);
  out.path = target.substr(end);
  if (!out.path.starts_with('/')) out.path.insert(0, "/");
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    if (out.scheme != Scheme::ftp) return refuse(400, "the address has a user before its host");
    out.credentials = authority.substr(0, at);
    authority.remove_prefix(at + 1);
  }
  auto parsed = parse_authority(authority, out.scheme == Scheme::ftp ? ftp_port : http_port);
  if (!parsed) return refuse(400, "the host of the address is neither a name nor an address in its plain form");
  out.host = std::move(parsed->first);
  out.port = parsed->second;
  return out;
}

Parsed<HttpTarget> target_of_line(const protocol::http::RequestHead& head) {
  if (head.method == "CONNECT") {
    auto parsed = parse_authority(head.target, std::nullopt);
    if (!parsed) return refuse(400, "CONNECT names a host and a port, like example.org:443");
    HttpTarget out;
    out.scheme = Scheme::tunnel;
    out.host = std::move(parsed->first);
    out.port = parsed->second;
    return out;
  }
  if (head.target.starts_with('/') || head.target == "*") {
    HttpTarget out;
    out.scheme = Scheme::own;
    out.path = head.target;
    return out;
  }
  return absolute_target(head.target);
}

}  // namespace

std::optional<std::pair<Host, Port>> parse_authority(std::string_view text, std::optional<Port> otherwise) {
  const auto bracket = text.rfind(']');
  const auto colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  auto port = otherwise;
  if (colon != std::string_view::npos) port = parse_port_number(text.substr(colon + 1));
  if (!port) return std::nullopt;
  auto host = parse_host(text.substr(0, colon));
  if (!host) return std::nullopt;
  return std::pair{std::move(*host), *port};
}

Parsed<HttpTarget> target_of(const protocol::http::RequestHead& head) {
  const auto hosts = protocol::http::count(head.fields, "Host");
  if (hosts > 1) return refuse(400, "there is more than one Host");
  if (hosts == 0 && head.minor >= 1) return refuse(400, "HTTP/1.1 without Host");
  auto target = target_of_line(head);
  if (!target || hosts == 0) return target;
  const auto& text = *protocol::http::single(head.fields, "Host");
  const auto host = parse_authority(text, target->scheme == Scheme::own ? http_port : target->scheme == Scheme::ftp ? ftp_port : http_port);
  if (!host) return refuse(400, "Host is neither a name nor an address in its plain form");
  if (target->scheme == Scheme::own) return target;
  // Of CONNECT the port in Host is often left out.
  const bool same_port = host->second == target->port || (target->scheme == Scheme::tunnel && parse_host(text).has_value());
  if (host->first != target->host || !same_port) return refuse(400, "Host says another host than the address");
  return target;
}

}  // namespace drpf::proxy
