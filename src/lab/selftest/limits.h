// How long the self-test waits, and how much it sends.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/time.h"
#include "lab/stage/limits.h"

namespace drpf::lab::selftest::limits {

using namespace lab::limits;

inline constexpr Duration arrival = 2s;              // for an honest packet, on a machine that is busy
inline constexpr Duration settle = 60ms;             // for what should not come, after an honest packet on the same way has come
inline constexpr Duration silence = 300ms;           // for what should not come, where there is no such packet
inline constexpr Duration knock_interval = 100ms;    // between two tries of what is to work again
inline constexpr Duration reopening = 20s;           // until the leases serve again after the gateway's restart
inline constexpr int packets_each = 5;               // of a kind that must not arrive
inline constexpr std::uint32_t flows_over = 200;     // attempted beyond the cap
inline constexpr std::uint32_t flows_max = 8000;     // a higher cap is brought down to this
inline constexpr std::size_t flows_per_round = 128;  // sent before they are looked for, so that no queue overflows

}  // namespace drpf::lab::selftest::limits
