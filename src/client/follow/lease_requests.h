// Asks the gateway for a public port that leads to a port of this device, and gives it back. The one place that knows how that is said.
// Blocking, with a time limit.
#pragma once

#include <string_view>
#include <vector>

#include "client/connect/gateway_watch.h"
#include "client/follow/port_follower.h"
#include "client/share/relayed_mappings.h"
#include "core/result.h"

namespace drpf::client {

// The lease of an ask-job: the one before again if it has one and that is possible, else any that the gateway gives.
Result<FollowLease> ask_for_port(const GatewayDoor& door, const FollowJob& job);
// A lease that is not there any more is no error.
Status give_port_back(const GatewayDoor& door, const FollowLease& lease);

// A lease for a machine of the local network. Refusals are the gateway's, with its codes.
Result<RelayLease> ask_for_relay(const GatewayDoor& door, const RelayAsk& ask);
Status give_relay_back(const GatewayDoor& door, const RelayLease& lease);

// What the API answers, as a value. `local_port`: leases that lead elsewhere are not ours.
Result<FollowLease> parse_given_leases(std::string_view json, Port local_port);

}  // namespace drpf::client
