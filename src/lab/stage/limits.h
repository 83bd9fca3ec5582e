// How long each wait of a lab may take at most, on a machine that is busy.
#pragma once

#include "core/time.h"

namespace drpf::lab::limits {

using namespace std::chrono_literals;

inline constexpr Duration command = 10s;         // one call of ip, nft, wg or of an admin command of ours
inline constexpr Duration gateway_start = 15s;   // from start to READY
inline constexpr Duration device_connect = 15s;  // from the start of the device's program to its active leases
inline constexpr Duration poll_interval = 20ms;  // between two looks at something that is awaited

}  // namespace drpf::lab::limits
