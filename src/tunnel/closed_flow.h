// Where packets of a lease go to inside the tunnel, of a lease that has ended.
#pragma once

#include "core/address.h"
#include "core/port.h"

namespace drpf::tunnel {

struct ClosedFlow {
  Address device_address;
  Protocol protocol{};
  Port device_port;
  auto operator<=>(const ClosedFlow&) const = default;
};

}  // namespace drpf::tunnel
