// Which sockets of this host strangers could reach, beside the gateway's own: what the port plan has to go round.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "configuration/configuration.h"
#include "configuration/policy.h"
#include "core/result.h"
#include "system/socket_diagnosis.h"

namespace drpf::daemon {

// Whose sockets are whose, and by which interfaces visitors come in; both as the kernel numbers them.
struct Surroundings {
  std::set<std::uint64_t> own_sockets;  // inodes
  std::set<std::uint32_t> public_interfaces;
};

// Not on loopback, not on the tunnel's addresses, not bound to an interface that is not public, not our own. Sorted, each once.
std::vector<configuration::Listener> reachable_listeners(const std::vector<system::OwnedSocket>& sockets, const Surroundings& around,
                                                         const configuration::Configuration& configuration);

// As this host is now.
Result<std::vector<configuration::Listener>> reachable_listeners(const configuration::Configuration& configuration,
                                                                 const std::vector<configuration::FoundHost>& hosts);

}  // namespace drpf::daemon
