// How the tunnel's packets leave this machine, and whether it was suspended. Only notices; what to do about it is the connection's
// business.
#pragma once

#include <cstdint>
#include <optional>

#include "core/address.h"
#include "core/time.h"

namespace drpf::client {

// The source address that packets with this mark would have towards the endpoint now; none while there is no way to it. Sends nothing.
std::optional<Address> source_towards(const Endpoint& endpoint, std::uint32_t mark);

// Tells a suspend from the two clocks: one of them stood still.
class SuspendDetector {
 public:
  static constexpr Duration asleep_min = std::chrono::seconds(2);
  // Both are times since some fixed past: CLOCK_BOOTTIME and CLOCK_MONOTONIC. True once for each suspend.
  bool observe(Duration boot, Duration monotonic);

 private:
  std::optional<Duration> ahead_;
};

}  // namespace drpf::client
