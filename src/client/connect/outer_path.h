// How the tunnel's packets leave this machine, and when that may have changed: new addresses or routes, another network, a suspend.
// Only notices; what to do about it is the connection's business.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "net/event_loop.h"
#include "system/fd.h"

namespace drpf::client {

// The source address that packets with this mark would have towards the endpoint now; none while there is no way to it. Sends nothing.
std::optional<Address> source_towards(const Endpoint& endpoint, std::uint32_t mark);

// Calls once, a moment after the kernel tells of changed links, addresses or routes: they come in bursts.
class NetworkChanges {
 public:
  static constexpr Duration settle_time = std::chrono::milliseconds(200);
  static Result<NetworkChanges> watch(net::EventLoop& loop, std::function<void()> changed);

 private:
  struct Inner;
  struct Deleter {
    void operator()(Inner* inner) const;
  };
  std::unique_ptr<Inner, Deleter> inner_;  // stays where it is: the loop's functions point to it
};

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
