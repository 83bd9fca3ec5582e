// Points in time as values. Nothing here reads a clock: `now` always comes in as an argument.
#pragma once

#include <chrono>
#include <cstdint>

namespace drpf {

using Duration = std::chrono::nanoseconds;

// The clock that deadlines are kept in: CLOCK_BOOTTIME of this boot. It goes on in suspend and never jumps.
struct BootClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<BootClock, Duration>;
  static constexpr bool is_steady = true;
};
using Time = BootClock::time_point;

// Wall time (CLOCK_REALTIME). For display, for WireGuard's TAI64N stamps, and for the time left after a reboot; never for deadlines.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

// Where a driver reads its time; tests set it by hand.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
  virtual WallTime wall_now() const = 0;
};

}  // namespace drpf
