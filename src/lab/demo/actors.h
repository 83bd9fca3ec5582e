// The stock WireGuard client of the demo, beside our own programs (lab/programs.h).
#pragma once

#include "core/result.h"
#include "lab/demo/topology.h"
#include "lab/stage/programs.h"
#include "system/process.h"

namespace drpf::lab::demo {

inline constexpr const char* home_1_log = "/run/drpf-lab/home-1.log";
inline constexpr const char* home_2_log = "/run/drpf-lab/home-2.log";
inline constexpr const char* home_2_device = "wg0";

// Home 2: what wg-quick(8) would do with the file, in Debian's wireguard-go.
Result<system::Process> start_wireguard_go(const Machine& machine, const DeviceFile& file);

}  // namespace drpf::lab::demo
