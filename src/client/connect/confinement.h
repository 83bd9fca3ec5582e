// What drpf connect gives up once it has read its file and found its tools: all rights but those over the network. The programs that it
// starts for the user, the hooks, have none.
#pragma once

#include "client/connect/connect_options.h"
#include "core/result.h"

namespace drpf::client {

// While there is one thread.
Status confine(const ConnectOptions& options);

}  // namespace drpf::client
