// The one right that drpf connect lends to programs that it starts for itself; the user's hooks get none. See confinement.h.
#pragma once

#include "core/result.h"
#include "system/privileges.h"

namespace drpf::client {

// For a program that changes the network on our behalf (nft, resolvconf): system::Command::prepare.
inline Status lend_network() { return system::lend_to_program({system::Capability::net_admin}); }

}  // namespace drpf::client
