#include "net/http_head.h"

#include <algorithm>
#include <array>

#include <boost/beast/core/string.hpp>

namespace drpf::net {
namespace {

using boost::beast::iequals;

// Whose value somebody decides by.
constexpr std::array<std::string_view, 8> once_only{"Host",       "Content-Length", "Transfer-Encoding", "Content-Type", "Origin",
                                                    "SOAPAction", "Expect",         "User-Agent"};

struct Fields {
  std::array<std::optional<std::string_view>, once_only.size()> values;
  const std::optional<std::string_view>& host() const { return values[0]; }
  const std::optional<std::string_view>& content_length() const { return values[1]; }
  const std::optional<std::string_view>& transfer_encoding() const { return values[2]; }
};

std::string_view without_spaces(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// "10.77.0.1:5351", "[fd77::1]:5351", "localhost": what stands behind the name; more than one colon without brackets are no port.
std::optional<std::string_view> port_in(std::string_view host) {
  const auto colon =
      host.starts_with('[') ? host.find(':', host.find(']') == std::string_view::npos ? host.size() : host.find(']')) : host.find(':');
  if (colon == std::string_view::npos || host.find(':', colon + 1) != std::string_view::npos) return std::nullopt;
  return host.substr(colon + 1);
}

}  // namespace

std::optional<HeadFault> fault_in_head(std::string_view head, std::optional<Port> port) {
  const auto line_end = head.find("\r\n");
  const auto request_line = head.substr(0, line_end);
  const bool is_1_0 = request_line.ends_with(" HTTP/1.0");
  if (!is_1_0 && !request_line.ends_with(" HTTP/1.1")) return HeadFault{400, "this is not an HTTP/1.1 request"};
  Fields fields;
  for (auto rest = line_end == std::string_view::npos ? std::string_view{} : head.substr(line_end + 2); !rest.empty();) {
    const auto end = std::min(rest.find("\r\n"), rest.size());
    const auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 2, rest.size()));
    if (line.starts_with(' ') || line.starts_with('\t')) return HeadFault{400, "a header field goes on in the next line"};  // RFC 9112 5.2
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;  // the parser's affair
    const auto named = std::find_if(once_only.begin(), once_only.end(), [&](auto name) { return iequals(name, line.substr(0, colon)); });
    if (named == once_only.end()) continue;
    auto& value = fields.values[static_cast<std::size_t>(named - once_only.begin())];
    if (value) return HeadFault{400, "a header field that may be there once is there twice"};
    value = without_spaces(line.substr(colon + 1));
  }
  if (!fields.host() && !is_1_0) return HeadFault{400, "there is no Host header"};  // RFC 9112 3.2
  if (const auto& coding = fields.transfer_encoding()) {
    if (is_1_0 || fields.content_length()) return HeadFault{400, "a Transfer-Encoding does not go with HTTP/1.0 or with a Content-Length"};
    if (!iequals(*coding, "chunked")) return HeadFault{501, "the only Transfer-Encoding here is chunked"};
  }
  const auto asked = fields.host() ? port_in(*fields.host()) : std::nullopt;
  if (port && asked && *asked != to_string(*port)) return HeadFault{421, "the Host header names another port"};
  return std::nullopt;
}

}  // namespace drpf::net
