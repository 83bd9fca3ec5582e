// What the head of a request must not have, beyond what the parser refuses: whatever two readers could understand differently. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "core/port.h"

namespace drpf::net {

struct HeadFault {
  unsigned status;
  std::string_view message;
};

// `head`: from the request line to the line break before the empty line. `port`: where it came to; none over a unix socket.
std::optional<HeadFault> fault_in_head(std::string_view head, std::optional<Port> port);

}  // namespace drpf::net
