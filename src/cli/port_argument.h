// How a public port is written on the command line: 20000, 20000/tcp, any/udp. Knows no gateway.
#pragma once

#include <optional>
#include <string_view>

#include "core/port.h"
#include "core/result.h"

namespace drpf::cli {

struct PortArgument {
  std::optional<Port> port;          // none = any
  std::optional<Protocol> protocol;  // none = both
  bool operator==(const PortArgument&) const = default;
};

Result<PortArgument> parse_port_argument(std::string_view text);

}  // namespace drpf::cli
