// Asks the gateway for a public port that leads to a port of this device, and gives it back. The one place that knows how that is said.
// Each request has a time limit.
#pragma once

#include <functional>
#include <string_view>

#include "client/connect/gateway_door.h"
#include "client/follow/port_follower.h"
#include "client/share/relayed_mappings.h"
#include "core/result.h"
#include "net/event_loop.h"

namespace drpf::client {

// What is returned ends the request; without it nothing is called any more.

// The lease of an ask-job: the one before again if it has one and that is possible, else any that the gateway gives.
[[nodiscard]] net::Watch ask_for_port(net::EventLoop& loop, const GatewayDoor& door, const FollowJob& job,
                                      std::function<void(Result<FollowLease>)> given);
// A lease that is not there any more is no error.
[[nodiscard]] net::Watch give_port_back(net::EventLoop& loop, const GatewayDoor& door, const FollowLease& lease,
                                        std::function<void(Status)> done);

// A lease for a machine of the local network. Refusals are the gateway's, with its codes.
[[nodiscard]] net::Watch ask_for_relay(net::EventLoop& loop, const GatewayDoor& door, const RelayAsk& ask,
                                       std::function<void(Result<RelayLease>)> given);
[[nodiscard]] net::Watch give_relay_back(net::EventLoop& loop, const GatewayDoor& door, const RelayLease& lease,
                                         std::function<void(Status)> done);

// What the API answers, as a value. `local_port`: leases that lead elsewhere are not ours.
Result<FollowLease> parse_given_leases(std::string_view json, Port local_port);

}  // namespace drpf::client
