#include "core/port.h"

#include <charconv>

namespace drpf {

std::string_view to_string(Protocol protocol) { return protocol == Protocol::tcp ? "tcp" : "udp"; }

Result<Protocol> parse_protocol(std::string_view text) {
  if (text == "tcp") return Protocol::tcp;
  if (text == "udp") return Protocol::udp;
  return fail(invalid("protocol_invalid", "'" + std::string(text) + "' is not a protocol", "write tcp or udp"));
}

std::string to_string(Port port) { return std::to_string(port.value()); }

Result<Port> parse_port(std::string_view text) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    return fail(invalid("port_invalid", "'" + std::string(text) + "' is not a port number", "write a whole number from 1 to 65535"));
  return Port{value};
}

std::string to_string(PortRange range) {
  if (range.first() == range.last()) return to_string(range.first());
  return to_string(range.first()) + "-" + to_string(range.last());
}

Result<PortRange> parse_port_range(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = parse_port(text.substr(0, dash));
  if (!first) return fail(first.error());
  if (dash == std::string_view::npos) return PortRange{*first};
  const auto last = parse_port(text.substr(dash + 1));
  if (!last) return fail(last.error());
  if (*last < *first)
    return fail(invalid("port_range_invalid", "the port range '" + std::string(text) + "' ends before it begins",
                        "write the smaller number first"));
  return PortRange{*first, *last};
}

}  // namespace drpf
