// The port plan: which port numbers of the gateway are used for what. Proves that no two uses overlap; chooses nothing.
// Port Shadow (CVE-2021-3773) is possible exactly where the source ports of devices' outbound traffic meet a service or a lease.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/port.h"
#include "core/result.h"

namespace drpf::firewall {

enum class PortUse {
  service,     // a service of the gateway, by configuration: WireGuard, SSH, the API
  listener,    // a socket observed on this host, of whatever program
  lease_pool,  // public ports that are leased
  snat,        // source ports of the devices' outbound traffic
  ephemeral,   // source ports of this host's own traffic
};

// Services and listeners may overlap (a listener is what a service looks like), a
// listener may lie in the ephemeral range (the kernel put it there), and two claims of the same use may, except two kinds of ranges that
// hand out ports.
bool may_overlap(PortUse a, PortUse b);

struct PortClaim {
  PortRange range;
  PortUse use{};
  std::string origin;  // where the reader can change it: "configuration key 'pool'", "a program listening on udp 0.0.0.0:40000"
};

struct PortConflict {
  PortClaim first;
  PortClaim second;
};

// Every pair of claims that must not overlap and does.
std::vector<PortConflict> conflicts(std::span<const PortClaim> claims);

// Error "port_plan_overlap" with both ranges and their origins. The gateway does not start with one.
Status prove_disjoint(std::span<const PortClaim> claims);

}  // namespace drpf::firewall
