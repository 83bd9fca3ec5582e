#include "cli/port_argument.h"

namespace drpf::cli {

Result<PortArgument> parse_port_argument(std::string_view text) {
  PortArgument argument;
  const auto slash = text.find('/');
  const auto number = text.substr(0, slash);
  if (number != "any") {
    const auto port = parse_port(number);
    if (!port) return fail(wrong_usage(port.error().message, "write a port like 20000, 20000/tcp or any/udp"));
    argument.port = *port;
  }
  if (slash != std::string_view::npos) {
    const auto protocol = parse_protocol(text.substr(slash + 1));
    if (!protocol) return fail(wrong_usage(protocol.error().message, "write a port like 20000, 20000/tcp or any/udp"));
    argument.protocol = *protocol;
  }
  return argument;
}

}  // namespace drpf::cli
