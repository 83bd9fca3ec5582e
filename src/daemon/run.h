// `drpf gateway`: the daemon in the foreground.
#pragma once

#include "daemon/run_options.h"

namespace drpf::daemon {

// Serves until SIGINT or SIGTERM. Returns the exit code (docs/exit-codes.md); what went wrong is on the log.
int run(const RunOptions& options);

}  // namespace drpf::daemon
