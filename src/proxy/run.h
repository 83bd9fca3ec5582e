// `drpf proxy`: the proxy as a process of its own, from its settings to its end. Reads no configuration file.
#pragma once

#include <vector>

#include <spdlog/fwd.h>

#include "core/address.h"
#include "core/result.h"
#include "proxy/settings.h"
#include "system/fd.h"
#include "system/log.h"
#include "system/process.h"

namespace drpf::proxy {

// Runs until SIGINT or SIGTERM; the exit code.
int run(const Settings& settings, const system::LogOptions& log);

// One beside a program that does something else: a supervisor without rights, which starts it again when it has ended. Both end with this.
struct ProxyBeside {
  system::Process supervisor;
  system::Fd lifeline;  // closed first: the supervisor ends then
};
// While there is one thread, and before rights are given up. Nothing is open yet where an error is returned.
Result<ProxyBeside> start_beside(const Settings& settings, const std::vector<Prefix>& coming, spdlog::logger& log);

// What to enter in which program, for each listener; the exit code.
int print_settings(const Settings& settings);

}  // namespace drpf::proxy
