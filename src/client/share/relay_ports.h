// Where leases for machines behind this device arrive. A value.
#pragma once

#include "core/port.h"

namespace drpf::client {

// Above the ports that the kernel gives out by itself and above every pool of the gateway's defaults, so that no program of this machine
// means them.
inline constexpr PortRange relay_ports{Port{61000}, Port{61999}};

}  // namespace drpf::client
