// Asks the gateway for a public port that leads to a port of this device, and gives it back. The one place that knows how that is said.
// Blocking, with a time limit.
#pragma once

#include <string_view>
#include <vector>

#include "client/gateway_watch.h"
#include "client/port_follower.h"
#include "core/result.h"

namespace drpf::client {

// The lease of an ask-job: the one before again if it has one and that is possible, else any. A device whose plan's ports are all given out
// to it already has one of those led to the program's port instead: the highest that leads to its own number and that is not in use.
Result<FollowLease> ask_for_port(const GatewayDoor& door, const FollowJob& job);
// A lease that is not there any more is no error. A port that the device holds anyway leads to its own number again.
Status give_port_back(const GatewayDoor& door, const FollowLease& lease);

// What the API answers, as a value. `local_port`: leases that lead elsewhere are not ours.
Result<FollowLease> parse_given_leases(std::string_view json, Port local_port);
// The highest automatic port that leads to its own number, by its host; nothing if there is none that is not in use.
struct OwnPort {
  std::string host;
  Port port;
  bool operator==(const OwnPort&) const = default;
};
std::optional<OwnPort> spare_port(std::string_view self_json, const std::set<Port>& in_use);

}  // namespace drpf::client
