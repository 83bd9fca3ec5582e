// The clocks of this machine, and the id that tells one boot from the next.
#pragma once

#include <string>

#include "core/time.h"

namespace drpf::system {

class SystemClock final : public Clock {
 public:
  Time now() const override;           // CLOCK_BOOTTIME
  WallTime wall_now() const override;  // CLOCK_REALTIME
};

// How long this machine has been suspended since it was started.
Duration time_suspended();

// /proc/sys/kernel/random/boot_id; empty where it cannot be read (then no deadline is trusted over a restart by its boot time).
std::string boot_id();

}  // namespace drpf::system
