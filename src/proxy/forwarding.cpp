#include "proxy/forwarding.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/text.h"

namespace drpf::proxy {
namespace {

using protocol::http::Field;
using protocol::http::Fields;
using protocol::http::Framing;
using protocol::http::list_of;
using protocol::http::Parsed;
using protocol::http::refuse;
using Words = std::vector<std::string>;

bool has(const Words& words, std::string_view word) { return std::find(words.begin(), words.end(), word) != words.end(); }

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view one) { return is_same_word(one, name); });
}

// Of one connection, whatever Connection says; and what is written anew.
bool is_hop_by_hop(std::string_view name) {
  return is_one_of(name, {"Connection", "Proxy-Connection", "Keep-Alive", "TE", "Transfer-Encoding", "Content-Length", "Upgrade",
                          "Proxy-Authorization", "Proxy-Authenticate", "Proxy-Authentication-Info", "HTTP2-Settings"});
}

// A sender that could have these taken off would change what the message means to whoever reads it next.
bool must_not_be_taken_off(std::string_view name) {
  return is_one_of(name, {"Host",
                          "Content-Length",
                          "Transfer-Encoding",
                          "Authorization",
                          "Cookie",
                          "Set-Cookie",
                          "Via",
                          "Forwarded",
                          "X-Forwarded-For",
                          "X-Forwarded-Host",
                          "X-Forwarded-Proto",
                          "X-Real-IP",
                          "Cache-Control",
                          "Content-Type",
                          "Content-Encoding",
                          "Content-Range",
                          "Range",
                          "Expect",
                          "Date",
                          "Trailer",
                          "Location",
                          "Origin"});
}

std::optional<protocol::http::Fault> fault_of_connection(const Words& connection) {
  for (const auto& word : connection) {
    if (!protocol::http::is_token(word)) return protocol::http::Fault{400, "Connection names what cannot be a field"};
    if (must_not_be_taken_off(word)) return protocol::http::Fault{400, "Connection names a field that belongs to the whole way"};
  }
  return std::nullopt;
}

void append(std::string& head, std::string_view name, std::string_view value) {
  head += name;
  head += ": ";
  head += value;
  head += "\r\n";
}

void append_end_to_end(std::string& head, const Fields& fields, const Words& connection) {
  for (const auto& field : fields)
    if (!is_hop_by_hop(field.name) && !has(connection, lower(field.name))) append(head, field.name, field.value);
}

// "h2c" would let another protocol pass in which nobody looks at the borders of messages.
std::string upgrade_of(const Fields& fields, const Words& connection) {
  if (!has(connection, "upgrade")) return {};
  std::string out;
  for (const auto& word : list_of(fields, "Upgrade"))
    if (word != "h2c" && !word.starts_with("http/") && !word.starts_with("tls/")) out += (out.empty() ? "" : ", ") + word;
  return out;
}

void append_framing(std::string& head, const Framing& framing) {
  if (framing.kind == Framing::Kind::chunked) append(head, "Transfer-Encoding", "chunked");
  if (framing.kind == Framing::Kind::length) append(head, "Content-Length", std::to_string(framing.length));
}

bool wants_to_go_on(const Fields& fields, const Words& connection, unsigned minor) {
  auto words = connection;
  for (auto& word : list_of(fields, "Proxy-Connection")) words.push_back(std::move(word));
  if (has(words, "close")) return false;
  return minor >= 1 || has(words, "keep-alive");
}

// How many proxies may follow (RFC 9110 section 7.6.2): nothing where the request does not say, or says it of another method.
Parsed<std::optional<unsigned>> forwards_left(const protocol::http::RequestHead& head) {
  if (head.method != "OPTIONS" || protocol::http::count(head.fields, "Max-Forwards") == 0) return std::optional<unsigned>();
  const auto* text = protocol::http::single(head.fields, "Max-Forwards");
  if (text == nullptr || text->empty() || text->size() > 4 ||
      !std::all_of(text->begin(), text->end(), [](char c) { return c >= '0' && c <= '9'; }))
    return refuse(400, "Max-Forwards is not one number");
  return std::optional<unsigned>(static_cast<unsigned>(std::stoul(*text)));
}

std::string authority_without_default(const HttpTarget& target) {
  const auto whole = authority_of(target.host, target.port.value());
  return target.port == Port{80} ? whole.substr(0, whole.size() - std::string_view(":80").size()) : whole;
}

}  // namespace

Parsed<ForwardedRequest> forward_request(const protocol::http::RequestHead& head, const HttpTarget& target) {
  const auto connection = list_of(head.fields, "Connection");
  if (const auto fault = fault_of_connection(connection)) return tl::unexpected(*fault);
  if (head.method == "TRACE") return refuse(405, "TRACE is not forwarded: it shows a page's scripts what they must not see");
  const auto framing = framing_of(head);
  if (!framing) return tl::unexpected(framing.error());
  const auto expect = list_of(head.fields, "Expect");
  if (!expect.empty() && (expect.size() > 1 || expect.front() != "100-continue")) return refuse(417, "only 100-continue can be expected");
  const auto left = forwards_left(head);
  if (!left) return tl::unexpected(left.error());
  if (*left == 0U) return refuse(501, "Max-Forwards ends here, and the proxy has no options to tell");

  ForwardedRequest out;
  out.body = *framing;
  out.client_minor = head.minor;
  out.keep_alive = wants_to_go_on(head.fields, connection, head.minor);
  out.may_repeat = framing->kind == Framing::Kind::none && is_one_of(head.method, {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PROPFIND"});
  const bool all = head.method == "OPTIONS" && target.path == "/" && head.target.find('/', head.target.find("//") + 2) == std::string::npos;
  out.head = fmt::format("{} {} HTTP/1.1\r\n", head.method, all ? "*" : target.path);
  append(out.head, "Host", authority_without_default(target));
  Fields fields;
  for (const auto& field : head.fields) {
    if (is_same_word(field.name, "Host") || is_same_word(field.name, "Max-Forwards")) continue;
    if (is_same_word(field.name, "Expect") && head.minor == 0) continue;  // RFC 9110 section 10.1.1
    fields.push_back(field);
  }
  append_end_to_end(out.head, fields, connection);
  if (*left) append(out.head, "Max-Forwards", std::to_string(**left - 1));
  append(out.head, "Via", fmt::format("1.{} {}", head.minor, own_name));
  append_framing(out.head, out.body);
  Words own_connection;
  if (has(list_of(head.fields, "TE"), "trailers")) {
    append(out.head, "TE", "trailers");
    own_connection.emplace_back("TE");
  }
  if (const auto upgrade = upgrade_of(head.fields, connection);
      !upgrade.empty() && out.body.kind == Framing::Kind::none && head.minor >= 1) {
    append(out.head, "Upgrade", upgrade);
    own_connection.emplace_back("Upgrade");
    out.upgrade = true;
  }
  if (!own_connection.empty())
    append(out.head, "Connection", own_connection.size() == 1 ? own_connection[0] : own_connection[0] + ", " + own_connection[1]);
  out.head += "\r\n";
  return out;
}

Parsed<ForwardedResponse> forward_response(const protocol::http::ResponseHead& head, std::string_view method,
                                           const ForwardedRequest& request) {
  const auto framing = framing_of(head, method);
  if (!framing) return refuse(502, framing.error().why);
  const auto connection = list_of(head.fields, "Connection");
  if (fault_of_connection(connection)) return refuse(502, "Connection of the answer names a field that belongs to the whole way");
  ForwardedResponse out;
  out.body = *framing;
  out.switches = head.status == 101;
  out.interim = head.status / 100 == 1 && !out.switches;
  if (out.switches && !request.upgrade) return refuse(502, "the server changes the protocol without having been asked");
  out.head = fmt::format("HTTP/1.1 {} {}\r\n", head.status, head.reason);
  if (out.interim) {
    append_end_to_end(out.head, head.fields, connection);
    out.head += "\r\n";
    return out;
  }
  append_end_to_end(out.head, head.fields, connection);
  append(out.head, "Via", fmt::format("1.{} {}", head.minor, own_name));
  if (out.switches) {
    for (const auto& field : head.fields)
      if (is_same_word(field.name, "Upgrade")) append(out.head, "Upgrade", field.value);
    append(out.head, "Connection", "Upgrade");
    out.head += "\r\n";
    return out;
  }
  const bool has_length = framing->kind == Framing::Kind::length;
  const bool unknown = framing->kind == Framing::Kind::chunked || framing->kind == Framing::Kind::until_close;
  out.chunked = unknown && request.client_minor >= 1;
  out.keep_client = request.keep_alive && (!unknown || out.chunked);
  out.keep_upstream = framing->kind != Framing::Kind::until_close && head.minor >= 1 && !has(connection, "close");
  if (has_length) append_framing(out.head, *framing);
  if (out.chunked) append(out.head, "Transfer-Encoding", "chunked");
  if (framing->kind == Framing::Kind::none && head.status != 204) {
    // Of HEAD and 304 it says what the body would be.
    if (const auto* length = protocol::http::single(head.fields, "Content-Length")) append(out.head, "Content-Length", *length);
  }
  if (!out.keep_client)
    append(out.head, "Connection", "close");
  else if (request.client_minor == 0)
    append(out.head, "Connection", "keep-alive");
  out.head += "\r\n";
  return out;
}

}  // namespace drpf::proxy
