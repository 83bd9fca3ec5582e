// `drpf connect`: the device's side. Brings the tunnel of one wg-quick file up, routes, shows the leased ports, and cleans up when it
// leaves. Parses no command line (cli/connect.cpp does) and knows nothing of the gateway but its tunnel address and its API.
#pragma once

#include "client/connect/connect_options.h"

namespace drpf::client {

// Runs until SIGINT or SIGTERM (then 0). Exit codes otherwise: 64 wrong use, 66 file unreadable, 65 file malformed, 69 something missing
// (TUN, nft), 70 failed while running, 73 interface in use, 77 privilege missing.
int connect(const ConnectOptions& options);

}  // namespace drpf::client
