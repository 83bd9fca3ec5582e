// What the proxy gives up before it speaks to anybody: rights, files, system calls.
#pragma once

#include <spdlog/fwd.h>

#include "core/result.h"

namespace drpf::proxy {

// Rights and user alone: for a process that still has to start another. While there is one thread.
Status give_up_rights(spdlog::logger& log);

// All of it, once all is open that needs a right, and while there is one thread.
Status confine(spdlog::logger& log);

}  // namespace drpf::proxy
