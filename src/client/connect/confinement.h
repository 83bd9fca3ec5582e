// What drpf connect gives up once it has read its file and found its tools: all rights but those over the network. The programs that it
// starts for the user, the hooks, have none.
#pragma once

#include "client/connect/connect.h"
#include "core/result.h"

namespace drpf::client {

// While there is one thread.
Status confine(const ConnectOptions& options);

// For a program that changes the network on our behalf (nft, resolvconf): system::Command::prepare.
Status lend_network();

}  // namespace drpf::client
