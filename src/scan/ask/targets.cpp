#include "scan/ask/targets.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace drpf::scan {
namespace {

constexpr std::string_view forms = "write an address, a prefix (10.0.0.0/24), a range (10.0.0.1-20) or a name";
constexpr std::size_t name_max = 253;      // RFC 1035, section 2.3.4, as text
constexpr std::size_t label_max = 63;      // the same
constexpr std::size_t interface_max = 15;  // IFNAMSIZ without the end

Error bad(std::string_view text, std::string why, std::string cure = std::string(forms)) {
  return wrong_usage(fmt::format("the target '{}' {}", text.substr(0, target_text_max), why), std::move(cure));
}

std::optional<unsigned> number(std::string_view text, unsigned most, int base = 10) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

// Some programs read it as octal, others do not: the wrong host would be asked.
std::optional<std::string_view> octal_looking(std::string_view text) {
  for (std::size_t at = 0; at + 1 < text.size(); ++at)
    if (text[at] == '0' && is_digit(text[at + 1]) && (at == 0 || text[at - 1] == '.' || text[at - 1] == '-'))
      return text.substr(at, text.find_first_not_of("0123456789", at) - at);
  return std::nullopt;
}

// What the system's resolver takes for a number, in whatever form: it is no name (WHATWG URL, section 3.5).
bool ends_in_a_number(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  const auto last = name.substr(name.rfind('.') + 1);
  return std::ranges::all_of(last, is_digit) || last.starts_with("0x") || last.starts_with("0X");
}

struct Octets {
  unsigned first = 0;
  unsigned last = 0;
};

Result<Octets> parse_octets(std::string_view text, std::string_view whole) {
  const auto dash = text.find('-');
  const auto low = text.substr(0, dash);
  const auto high = dash == std::string_view::npos ? low : text.substr(dash + 1);
  if (text == "*") return Octets{0, 255};
  const auto first = number(low, 255);
  const auto last = number(high, 255);
  if (!first || !last) return fail(bad(whole, fmt::format("has '{}' where a number or range from 0 to 255 belongs", text)));
  if (*last < *first)
    return fail(bad(whole, fmt::format("has the range {} that runs backwards", text), fmt::format("write {}-{}", *last, *first)));
  return Octets{*first, *last};
}

Address v4_of(const std::array<unsigned, 4>& octets) { return Address::v4(octets[0] << 24 | octets[1] << 16 | octets[2] << 8 | octets[3]); }

// Four numbers or ranges with dots between them.
Result<std::vector<AddressRange>> parse_v4_ranges(std::string_view text) {
  std::array<Octets, 4> parts;
  auto rest = text;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto dot = rest.find('.');
    if ((dot == std::string_view::npos) != (i == 3)) return fail(bad(text, "is no address: an IPv4 address has four numbers"));
    const auto part = parse_octets(rest.substr(0, dot), text);
    if (!part) return fail(part.error());
    parts[i] = *part;
    if (i < 3) rest.remove_prefix(dot + 1);
  }
  // Behind the last octet that is no whole 0-255 everything is one range.
  std::size_t fixed = 4;
  while (fixed > 0 && parts[fixed - 1].first == 0 && parts[fixed - 1].last == 255) --fixed;
  const std::size_t varying = fixed > 0 ? fixed - 1 : 0;
  std::size_t count = 1;
  for (std::size_t i = 0; i < varying; ++i) count *= parts[i].last - parts[i].first + 1;
  if (count > target_ranges_max) return fail(bad(text, fmt::format("means more than {} ranges", target_ranges_max), "write a prefix"));
  std::vector<AddressRange> ranges;
  ranges.reserve(count);
  std::array<unsigned, 4> at{};
  for (std::size_t i = 0; i < 4; ++i) at[i] = parts[i].first;
  while (true) {
    auto last = at;
    for (std::size_t i = varying; i < 4; ++i) last[i] = parts[i].last;
    ranges.push_back({v4_of(at), v4_of(last)});
    std::size_t i = varying;
    while (i > 0 && at[i - 1] == parts[i - 1].last) {
      at[i - 1] = parts[i - 1].first;
      --i;
    }
    if (i == 0) return ranges;
    ++at[i - 1];
  }
}

Result<AddressRange> parse_v6_range(std::string_view text, std::size_t dash) {
  const auto first = parse_address(text.substr(0, dash));
  if (!first) return fail(bad(text, "begins with no address"));
  const auto high = text.substr(dash + 1);
  std::optional<Address> last;
  if (high.find(':') != std::string_view::npos) {
    if (const auto parsed = parse_address(high)) last = *parsed;
  } else if (const auto group = number(high, 0xffff, 16); group && high.size() <= 4 && first->is_v6()) {
    std::array<std::uint8_t, 16> bytes{};
    std::copy(first->bytes().begin(), first->bytes().end(), bytes.begin());
    bytes[14] = static_cast<std::uint8_t>(*group >> 8);
    bytes[15] = static_cast<std::uint8_t>(*group);
    last = Address::from_bytes(bytes);
  }
  if (!last || last->family() != first->family()) return fail(bad(text, "ends with no address", "write fd00::1-fd00::ff or fd00::1-ff"));
  if (*last < *first) return fail(bad(text, "runs backwards", fmt::format("write {}-{}", to_string(*last), to_string(*first))));
  return AddressRange{*first, *last};
}

bool is_host_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > name_max) return false;
  while (true) {
    const auto dot = text.find('.');
    const auto label = text.substr(0, dot);
    if (label.empty() || label.size() > label_max || label.front() == '-' || label.back() == '-') return false;
    if (!std::all_of(label.begin(), label.end(), [](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_'; })) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

Result<std::vector<AddressRange>> parse_ranges(std::string_view text) {
  if (const auto octal = text.find(':') == std::string_view::npos ? octal_looking(text.substr(0, text.find('/'))) : std::nullopt)
    return fail(
        bad(text, fmt::format("has '{}', which some programs read as octal and others do not", *octal), "write it without the zeros"));
  if (const auto address = parse_address(text)) return std::vector{range_of(*address)};
  if (text.find('/') != std::string_view::npos) {
    const auto prefix = parse_prefix(text);
    if (!prefix) return fail(bad(text, "is no prefix: " + prefix.error().message, "write 10.0.0.0/24 or fd00::/120"));
    return std::vector{range_of(*prefix)};
  }
  const auto dash = text.find('-');
  if (text.find(':') != std::string_view::npos) {
    if (dash == std::string_view::npos) return fail(bad(text, "is no IPv6 address", "ports are named by -p, not behind the target"));
    const auto range = parse_v6_range(text, dash);
    if (!range) return fail(range.error());
    return std::vector{*range};
  }
  if (dash != std::string_view::npos) {
    const auto first = parse_address(text.substr(0, dash));
    const auto last = parse_address(text.substr(dash + 1));
    if (first && last) {
      if (*last < *first) return fail(bad(text, "runs backwards", fmt::format("write {}-{}", to_string(*last), to_string(*first))));
      return std::vector{AddressRange{*first, *last}};
    }
  }
  return parse_v4_ranges(text);
}

// Editors and shells of other systems save lists in UTF-16, or with a mark of their encoding in front.
std::string in_plain_bytes(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) return std::string(text.substr(3));
  const bool low_first = text.starts_with("\xFF\xFE");
  if (!low_first && !text.starts_with("\xFE\xFF")) return std::string(text);
  std::string out;
  for (std::size_t at = 2; at + 1 < text.size(); at += 2) {
    const auto high = text[low_first ? at + 1 : at];
    out += high == 0 ? text[low_first ? at : at + 1] : '?';  // what is beyond ASCII is in no address and no host name
  }
  return out;
}

}  // namespace

Result<Target> parse_target(std::string_view text) {
  if (text.empty()) return fail(bad(text, "is empty"));
  if (text.size() > target_text_max) return fail(bad(text, fmt::format("... is longer than {} characters", target_text_max)));
  Target target;
  target.text = text;
  const auto percent = text.find('%');
  if (percent != std::string_view::npos) {
    target.interface = text.substr(percent + 1);
    text = text.substr(0, percent);
    const auto odd = [](char c) { return c == '/' || std::isgraph(static_cast<unsigned char>(c)) == 0; };
    if (target.interface.empty() || target.interface.size() > interface_max ||
        std::any_of(target.interface.begin(), target.interface.end(), odd))
      return fail(bad(target.text, "names no interface behind %", "write fe80::1%eth0"));
  }
  // Host names have letters (RFC 1123, section 2.1 and its discussion); what has colons, or only numbers, is meant as addresses.
  const bool named = text.find_first_of(":/*") == std::string_view::npos && std::any_of(text.begin(), text.end(), is_letter);
  if (named) {
    if (!is_host_name(text) || ends_in_a_number(text) || percent != std::string_view::npos)
      return fail(bad(target.text, "is neither an address nor a host name"));
    return target;
  }
  auto ranges = parse_ranges(text);
  if (!ranges) return fail(ranges.error());
  target.ranges = std::move(*ranges);
  return target;
}

Result<std::vector<Target>> parse_target_list(std::string_view bytes) {
  const auto plain = in_plain_bytes(bytes);
  std::string_view text = plain;
  std::vector<Target> targets;
  std::size_t line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    line = line.substr(0, line.find('#'));
    constexpr std::string_view between = " \t\r,;";
    for (auto at = line.find_first_not_of(between); at != std::string_view::npos; at = line.find_first_not_of(between)) {
      line.remove_prefix(at);
      const auto word = line.substr(0, line.find_first_of(between));
      auto target = parse_target(word);
      if (!target) {
        auto error = target.error();
        error.message = fmt::format("line {}: {}", line_number, error.message);
        return fail(std::move(error));
      }
      if (targets.size() == target_list_max) return fail(wrong_usage(fmt::format("the list has more than {} targets", target_list_max)));
      targets.push_back(std::move(*target));
      line.remove_prefix(word.size());
    }
  }
  return targets;
}

}  // namespace drpf::scan
