// How public ports are written on the command line: 20000, 20000/tcp, 20100-20119, any/udp, and several: 80,443/tcp. Knows no gateway.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/port.h"
#include "core/result.h"

namespace drpf::cli {

struct PortArgument {
  std::optional<PortRange> ports;    // none = any
  std::optional<Protocol> protocol;  // none = both
  bool operator==(const PortArgument&) const = default;
};

std::string to_string(const PortArgument& argument);
Result<PortArgument> parse_port_argument(std::string_view text);
// Each word may hold several, with commas between them.
Result<std::vector<PortArgument>> parse_port_arguments(const std::vector<std::string>& words);

}  // namespace drpf::cli
