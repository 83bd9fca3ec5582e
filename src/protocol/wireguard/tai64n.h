// TAI64N time stamps, as initiations carry them. They only have to grow; they are no clock.
#pragma once

#include <array>
#include <cstdint>

#include "core/time.h"

namespace drpf::protocol::wireguard {

using Timestamp = std::array<std::uint8_t, 12>;  // big-endian, so that comparing arrays compares times

// Whitened: the low 24 bits of the nanoseconds are zero, so that a stamp tells nothing about the exact time of other events.
Timestamp tai64n(WallTime wall);
WallTime wall_time(const Timestamp& stamp);  // the nearest that can be told, for display
Timestamp one_second_after(const Timestamp& stamp);

// The stamps that one peer is sent: each greater than the one before, whatever the wall clock does.
class TimestampSource {
 public:
  explicit TimestampSource(const Timestamp& floor = {}) : last_(floor) {}
  Timestamp next(WallTime wall);
  const Timestamp& last() const { return last_; }

 private:
  Timestamp last_;
};

}  // namespace drpf::protocol::wireguard
