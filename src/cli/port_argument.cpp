#include "cli/port_argument.h"

namespace drpf::cli {
namespace {

constexpr const char* forms = "write ports like 20000, 20000/tcp, 20100-20119 or any/udp, several with commas between them";

}  // namespace

std::string to_string(const PortArgument& argument) {
  return (argument.ports ? drpf::to_string(*argument.ports) : "any") +
         (argument.protocol ? "/" + std::string(drpf::to_string(*argument.protocol)) : "");
}

Result<PortArgument> parse_port_argument(std::string_view text) {
  PortArgument argument;
  const auto slash = text.find('/');
  if (const auto numbers = text.substr(0, slash); numbers != "any") {
    const auto ports = parse_port_range(numbers);
    if (!ports) return fail(wrong_usage(ports.error().message, forms));
    argument.ports = *ports;
  }
  if (slash != std::string_view::npos) {
    const auto protocol = parse_protocol(text.substr(slash + 1));
    if (!protocol) return fail(wrong_usage(protocol.error().message, forms));
    argument.protocol = *protocol;
  }
  return argument;
}

Result<std::vector<PortArgument>> parse_port_arguments(const std::vector<std::string>& words) {
  std::vector<PortArgument> arguments;
  for (std::string_view word : words) {
    for (bool more = true; more;) {
      const auto comma = word.find(',');
      auto argument = parse_port_argument(word.substr(0, comma));
      if (!argument) return fail(argument.error());
      arguments.push_back(*argument);
      more = comma != std::string_view::npos;
      if (more) word.remove_prefix(comma + 1);
    }
  }
  return arguments;
}

}  // namespace drpf::cli
