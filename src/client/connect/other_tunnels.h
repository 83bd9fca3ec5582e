// The other tunnels of this machine, and whether one more goes beside them. Two gateways know nothing of each other: both may have given
// this device the same address, and both may be meant to carry everything.
#pragma once

#include <string>
#include <vector>

#include "client/connect/route_plan.h"
#include "core/result.h"

namespace drpf::client {

struct OtherTunnel {
  std::string name;                // of the interface
  std::vector<Address> addresses;  // also those of one whose interface is gone for the moment, as far as its rules tell
  bool is_connect = false;         // of drpf connect
  bool takes_everything = false;   // a full tunnel, also one that stands closed
};

// The interfaces with addresses, but loopback and `own`, and what other drpf connects have set up.
Result<std::vector<OtherTunnel>> other_tunnels(const std::string& own);
// Refused with the reason and the cure where they would silence each other. Pure.
Status check_beside(const RoutePlan& plan, const std::vector<OtherTunnel>& others);

}  // namespace drpf::client
