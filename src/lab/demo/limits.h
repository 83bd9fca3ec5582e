// How long each wait of the demo may take at most, on a machine that is busy. The whole show takes about 15 s on an idle one.
#pragma once

#include "core/time.h"
#include "lab/stage/limits.h"

namespace drpf::lab::demo::limits {

using namespace std::chrono_literals;
using namespace lab::limits;

inline constexpr Duration server_start = 10s;       // a server behind a home listens
inline constexpr Duration request = 5s;             // one request of the visitor
inline constexpr Duration silence = 1s;             // how long nothing must arrive before it counts as closed
inline constexpr Duration scan_settle = 300ms;      // for the last answers of a port scan
inline constexpr Duration scan_round = 8s;          // one round of a port scan
inline constexpr Duration scan_picture = 30s;       // drpf's own scan of all ports
inline constexpr Duration lease_end = 8s;           // from the device's good-bye to the end of its leases
inline constexpr Duration stream_resume = 25s;      // from the gateway's restart to the next byte of an open connection
inline constexpr Duration stream_rest = 10s;        // for the rest of that connection
inline constexpr Duration table_interval = 1000ms;  // between two looks at the live lease table

}  // namespace drpf::lab::demo::limits
