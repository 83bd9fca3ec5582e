#include "scan/port_list.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/text.h"

namespace drpf::scan {
namespace {

constexpr std::string_view forms = "write numbers, ranges and names: 22,80,8000-8100,https,U:53; - is all";
using Numbers = std::bitset<65'536>;

// Assigned by IANA (protocol numbers); those that are still met.
constexpr std::array<std::pair<std::uint16_t, std::string_view>, 24> ip_protocols{
    {{1, "icmp"},      {2, "igmp"},     {4, "ipip"},  {6, "tcp"},      {8, "egp"},    {17, "udp"},    {27, "rdp"},   {33, "dccp"},
     {41, "ipv6"},     {46, "rsvp"},    {47, "gre"},  {50, "esp"},     {51, "ah"},    {58, "icmpv6"}, {88, "eigrp"}, {89, "ospf"},
     {94, "ipip-old"}, {97, "etherip"}, {103, "pim"}, {108, "ipcomp"}, {112, "vrrp"}, {115, "l2tp"},  {132, "sctp"}, {136, "udplite"}}};

bool has_letter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::isalpha(c) != 0; });
}

std::string shown(std::string_view text) { return std::string(text.substr(0, 60)); }

struct Bounds {
  std::uint32_t all_first;  // of "-": port 0 is asked only when it is named
  std::uint32_t most;
  std::string_view what;
};
constexpr Bounds port_bounds{1, 65'535, "port"};
constexpr Bounds protocol_bounds{0, 255, "IP protocol"};

Result<std::uint32_t> parse_number(std::string_view text, const Bounds& bounds) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range || (error == std::errc() && end == text.data() + text.size() && value > bounds.most))
    return fail(
        wrong_usage(fmt::format("there is no {} {}", bounds.what, shown(text)),
                    fmt::format("{}s are numbers of {} bits: {} is the last", bounds.what, bounds.most == 255 ? 8 : 16, bounds.most)));
  if (error != std::errc() || end != text.data() + text.size())
    return fail(wrong_usage(fmt::format("'{}' is no {}", shown(text), bounds.what), std::string(forms)));
  return static_cast<std::uint32_t>(value);
}

Result<std::pair<std::uint32_t, std::uint32_t>> parse_number_range(std::string_view text, const Bounds& bounds) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) {
    const auto only = parse_number(text, bounds);
    if (!only) return fail(only.error());
    return std::pair(*only, *only);
  }
  const auto low = text.substr(0, dash);
  const auto high = text.substr(dash + 1);
  const Result<std::uint32_t> first = low.empty() ? bounds.all_first : parse_number(low, bounds);
  if (!first) return fail(first.error());
  const Result<std::uint32_t> last = high.empty() ? bounds.most : parse_number(high, bounds);
  if (!last) return fail(last.error());
  if (*last < *first)
    return fail(wrong_usage(fmt::format("the range {} runs backwards", shown(text)), fmt::format("write {}-{}", *last, *first)));
  return std::pair(*first, *last);
}

void add(Numbers& to, std::pair<std::uint32_t, std::uint32_t> range) {
  for (auto number = range.first; number <= range.second; ++number) to.set(number);
}

std::vector<std::uint16_t> ascending(const Numbers& numbers) {
  std::vector<std::uint16_t> all;
  all.reserve(numbers.count());
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i]) all.push_back(static_cast<std::uint16_t>(i));
  return all;
}

// With * for any letters and ? for one.
bool matches(std::string_view name, std::string_view pattern) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() == '*') return matches(name, pattern.substr(1)) || (!name.empty() && matches(name.substr(1), pattern));
  return !name.empty() && (pattern.front() == '?' || pattern.front() == name.front()) && matches(name.substr(1), pattern.substr(1));
}

// "53/udp" as the item and its protocol.
Result<std::optional<Protocol>> take_protocol(std::string_view& item) {
  const auto slash = item.find('/');
  if (slash == std::string_view::npos) return std::optional<Protocol>();
  const auto word = lower(item.substr(slash + 1));
  if (word != "tcp" && word != "udp")
    return fail(wrong_usage(fmt::format("'{}' ends with no protocol that has ports here", shown(item)), "80/tcp, 53/udp"));
  item = item.substr(0, slash);
  return std::optional(word == "tcp" ? Protocol::tcp : Protocol::udp);
}

Error unknown_name(std::string_view name, const std::vector<std::string>& nearest) {
  std::string cure = "`drpf ports WORD` finds services; or give the number";
  if (!nearest.empty()) cure = fmt::format("nearest: {}", fmt::join(nearest, ", "));
  return wrong_usage(fmt::format("no service is called '{}'", shown(name)), std::move(cure));
}

template <class Each>
Status for_each_item(std::string_view text, Each each) {
  if (text.size() > port_list_text_max)
    return fail(wrong_usage(fmt::format("the port list is longer than {} characters", port_list_text_max), std::string(forms)));
  while (true) {
    const auto comma = text.find(',');
    auto item = text.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (const auto status = each(item); !status) return status;
    if (comma == std::string_view::npos) return {};
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

Result<PortList> parse_port_list(std::string_view text, const ServiceNames& names) {
  PortList list;
  Numbers tcp;
  Numbers udp;
  std::optional<Protocol> only;
  const auto status = for_each_item(text, [&](std::string_view item) -> Status {
    while (item.size() >= 2 && item[1] == ':') {
      const char letter = item[0];
      if (letter != 'T' && letter != 't' && letter != 'U' && letter != 'u')
        return fail(wrong_usage(fmt::format("'{}' begins with no known protocol", shown(item)), "T: is TCP, U: is UDP"));
      only = letter == 'T' || letter == 't' ? Protocol::tcp : Protocol::udp;
      (only == Protocol::tcp ? list.names_tcp : list.names_udp) = true;
      item.remove_prefix(2);
    }
    const auto its_own = take_protocol(item);
    if (!its_own) return fail(its_own.error());
    if (*its_own) (**its_own == Protocol::tcp ? list.names_tcp : list.names_udp) = true;
    const auto wanted = *its_own ? *its_own : only;
    if (item.empty()) return fail(wrong_usage("the port list has an empty place", std::string(forms)));
    const bool with_names = item.size() > 2 && item.front() == '[' && item.back() == ']';
    if (with_names) item = item.substr(1, item.size() - 2);
    const bool pattern = item.find_first_of("*?") != std::string_view::npos;
    bool found = false;
    if (with_names || pattern) {
      std::pair<std::uint32_t, std::uint32_t> range{port_bounds.all_first, port_bounds.most};
      if (with_names) {
        const auto parsed = parse_number_range(item, port_bounds);
        if (!parsed) return fail(parsed.error());
        range = *parsed;
      }
      const auto like = lower(item);
      for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
        if (wanted && wanted != protocol) continue;
        for (auto number = range.first; number <= range.second; ++number) {
          const auto known = names.names_of(Port(static_cast<std::uint16_t>(number)), protocol);
          if (!std::ranges::any_of(known, [&](auto name) { return with_names || matches(lower(name), like); })) continue;
          (protocol == Protocol::tcp ? tcp : udp).set(number);
          found = true;
        }
      }
      if (!found) return fail(wrong_usage(fmt::format("no service is known for '{}'", shown(item)), std::string(forms)));
      return {};
    }
    if (!has_letter(item)) {
      const auto range = parse_number_range(item, port_bounds);
      if (!range) return fail(range.error());
      if (wanted != Protocol::udp) add(tcp, *range);
      if (wanted != Protocol::tcp) add(udp, *range);
      return {};
    }
    for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
      if (wanted && wanted != protocol) continue;
      for (const auto port : names.ports(lower(item), protocol)) {
        (protocol == Protocol::tcp ? tcp : udp).set(port.value());
        found = true;
      }
    }
    if (!found) return fail(unknown_name(item, names.nearest(lower(item))));
    return {};
  });
  if (!status) return fail(status.error());
  list.tcp = ascending(tcp);
  list.udp = ascending(udp);
  return list;
}

Result<std::vector<std::uint16_t>> parse_protocol_list(std::string_view text) {
  Numbers numbers;
  const auto status = for_each_item(text, [&](std::string_view item) -> Status {
    if (item.empty()) return fail(wrong_usage("the list of IP protocols has an empty place", "write 1,6,17 or 0-255"));
    if (!has_letter(item)) {
      const auto range = parse_number_range(item, protocol_bounds);
      if (!range) return fail(range.error());
      add(numbers, *range);
      return {};
    }
    const auto wanted = lower(item);
    for (const auto& [number, name] : ip_protocols) {
      if (name != wanted) continue;
      numbers.set(number);
      return {};
    }
    return fail(wrong_usage(fmt::format("no IP protocol is known here as '{}'", shown(item)), "give its number, 0 to 255"));
  });
  if (!status) return fail(status.error());
  return ascending(numbers);
}

std::string_view ip_protocol_name(std::uint16_t number) {
  for (const auto& [known, name] : ip_protocols)
    if (known == number) return name;
  return {};
}

std::string as_ranges(const std::vector<std::uint16_t>& numbers, std::size_t ranges_max) {
  std::string text;
  std::size_t ranges = 0;
  for (std::size_t i = 0; i < numbers.size();) {
    if (ranges++ == ranges_max) return text + fmt::format(" and {} more", numbers.size() - i);
    auto end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    if (!text.empty()) text += ",";
    text += end - i == 1 ? fmt::format("{}", numbers[i]) : fmt::format("{}-{}", numbers[i], numbers[end - 1]);
    i = end;
  }
  return text;
}

}  // namespace drpf::scan
