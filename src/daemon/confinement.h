// What a gateway gives up before it opens anything: rights, programs, system calls, others' files, a memory that others can read.
#pragma once

#include <memory>

#include <spdlog/fwd.h>

#include "configuration/configuration.h"
#include "core/result.h"
#include "daemon/run_options.h"
#include "system/openvpn_program.h"

namespace drpf::daemon {

inline constexpr const char* control_socket_folder = "/var/run/wireguard/";  // where `wg show` looks for engines outside the kernel

// While there is one thread, and before there are secrets. Files that the gateway will need as another user are given to that user.
// `openvpn` is put aside where it is configured.
Status confine(const configuration::Configuration& configuration, const RunOptions& options, spdlog::logger& log,
               std::unique_ptr<system::OpenVpnProgram>& openvpn);

// Once all doors are open: no unix socket more, so that it reaches nobody else's. Of all threads.
Status confine_further();

}  // namespace drpf::daemon
