// What a gateway gives up before it opens anything: rights, programs, system calls, a memory that others can read.
#pragma once

#include <spdlog/logger.h>

#include "core/result.h"
#include "configuration/configuration.h"
#include "daemon/run.h"

namespace drpf::gateway {

// While there is one thread, and before there are secrets. Files that the gateway will need as another user are given to that user.
Status confine(const Configuration& configuration, const RunOptions& options, spdlog::logger& log);

}  // namespace drpf::gateway
