#include "registry/port_query.h"

#include <algorithm>
#include <charconv>

#include "registry/well_known.h"

namespace drpf::registry {

namespace {

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<Port> port_in(std::string_view digits) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || value > 65535) return std::nullopt;
  return Port{static_cast<std::uint16_t>(value)};
}

// One digit too many is the usual slip: 80800 for 8080.
std::optional<WellKnown> meant_by(std::string_view digits) {
  for (std::size_t dropped = digits.size(); dropped-- > 0;) {
    auto shorter = std::string(digits);
    shorter.erase(dropped, 1);
    const auto port = port_in(shorter);
    if (!port) continue;
    for (const auto transport : {Transport::tcp, Transport::udp})
      if (const auto* known = find_well_known(*port, transport)) return *known;
  }
  return std::nullopt;
}

Error no_port(std::string_view digits) {
  const auto meant = meant_by(digits);
  return wrong_usage(std::string(digits) + " is no port number: port numbers have 16 bits, so they go from 0 to 65535",
                     meant ? "did you mean " + to_string(meant->port) + " (" + std::string(meant->name) + ")?" : "the last one is 65535");
}

}  // namespace

Result<PortQuery> parse_port_query(std::string_view text) {
  PortQuery query;
  if (text.empty() || text.size() > port_query_length_max)
    return fail(wrong_usage(text.empty() ? "an empty question" : "a question of more than 64 letters",
                            "write a number, a range, a name or a word: 1720, 6881-6889, pop3, mail"));
  // Some registered names have a slash, so only a protocol behind it is one.
  if (const auto slash = text.rfind('/'); slash != std::string_view::npos && slash > 0) {
    query.transport = find_transport(text.substr(slash + 1));
    if (query.transport) text = text.substr(0, slash);
  }
  query.text = text;
  const auto dash = text.find('-');
  const auto first_digits = text.substr(0, dash);
  const auto last_digits = dash == std::string_view::npos ? first_digits : text.substr(dash + 1);
  if (!is_number(first_digits) || !is_number(last_digits)) return query;
  const auto first = port_in(first_digits);
  const auto last = port_in(last_digits);
  if (!first || !last) return fail(no_port(first ? last_digits : first_digits));
  if (*last < *first)
    return fail(wrong_usage("the range " + std::string(text) + " runs backwards", "write " + to_string(*last) + "-" + to_string(*first)));
  query.ports = PortRange(*first, *last);
  return query;
}

}  // namespace drpf::registry
