#include "proxy/host.h"

#include <algorithm>

#include "core/text.h"

namespace drpf::proxy {
namespace {

constexpr std::size_t name_bytes_max = 253;  // RFC 1035 section 2.3.4, without the dot at the end
constexpr std::size_t label_bytes_max = 63;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); }

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= label_bytes_max &&
         std::all_of(label.begin(), label.end(), [](char c) { return is_letter_or_digit(c) || c == '-' || c == '_'; });
}

// inet_aton(3) reads such a host as an address.
bool ends_in_number(std::string_view last_label) {
  if (std::all_of(last_label.begin(), last_label.end(), is_digit)) return true;
  return last_label.size() >= 2 && last_label[0] == '0' && lower(last_label[1]) == 'x' &&
         std::all_of(last_label.begin() + 2, last_label.end(), is_hex);
}

// Dotted, decimal, four numbers without zeros in front: inet_aton(3) takes those for octal.
bool is_plain_v4(std::string_view text) {
  std::size_t numbers = 0;
  while (true) {
    const auto dot = std::min(text.find('.'), text.size());
    const auto number = text.substr(0, dot);
    if (number.empty() || number.size() > 3 || !std::all_of(number.begin(), number.end(), is_digit)) return false;
    if (number.size() > 1 && number[0] == '0') return false;
    ++numbers;
    if (dot == text.size()) return numbers == 4;
    text.remove_prefix(dot + 1);
  }
}

std::optional<Host> parse_v6(std::string_view text) {
  if (text.find(':') == std::string_view::npos || text.find('%') != std::string_view::npos) return std::nullopt;
  const auto address = parse_address(text);
  if (!address || !address->is_v6()) return std::nullopt;
  return Host(*address);
}

}  // namespace

std::optional<Host> parse_host(std::string_view text, bool bare_v6) {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') return parse_v6(text.substr(1, text.size() - 2));
  if (bare_v6 && text.find(':') != std::string_view::npos) return parse_v6(text);
  if (!text.empty() && text.back() == '.') text.remove_suffix(1);
  if (text.empty() || text.size() > name_bytes_max) return std::nullopt;
  std::string_view last;
  for (auto rest = text;;) {
    const auto dot = std::min(rest.find('.'), rest.size());
    last = rest.substr(0, dot);
    if (!is_label(last)) return std::nullopt;
    if (dot == rest.size()) break;
    rest.remove_prefix(dot + 1);
  }
  if (!ends_in_number(last)) return Host(lower(text));
  if (!is_plain_v4(text)) return std::nullopt;
  const auto address = parse_address(text);
  if (!address || !address->is_v4()) return std::nullopt;
  return Host(*address);
}

std::string to_string(const Host& host) {
  const auto* address = std::get_if<Address>(&host);
  return address != nullptr ? drpf::to_string(*address) : std::get<std::string>(host);
}

std::string authority_of(const Host& host, std::uint16_t port) {
  const auto* address = std::get_if<Address>(&host);
  const auto text = to_string(host);
  return (address != nullptr && address->is_v6() ? "[" + text + "]" : text) + ":" + std::to_string(port);
}

}  // namespace drpf::proxy
