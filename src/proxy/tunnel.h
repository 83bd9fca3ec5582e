// Carries bytes between two streams until both have ended, each direction for itself: who has ended his side can still read the other's.
#pragma once

#include <chrono>
#include <cstdint>

#include "proxy/stream.h"

namespace drpf::proxy {

struct TunnelTimes {
  std::chrono::seconds idle{30 * 60};
  std::chrono::seconds half_closed{5 * 60};  // idle, with one side ended
};

struct Carried {
  std::uint64_t up = 0;  // from the first to the second
  std::uint64_t down = 0;
};

// What is in the buffers of both goes first. A side that breaks breaks the other one too. Both are closed when it ends.
Task<Carried> carry(Poller& poller, Stream& first, Stream& second, TunnelTimes times);

}  // namespace drpf::proxy
