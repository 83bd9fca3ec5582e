// A clock and a random source that tests set by hand.
#pragma once

#include "core/random.h"
#include "core/time.h"

namespace drpf::tests {

class FakeClock final : public Clock {
 public:
  Time now() const override { return time; }
  WallTime wall_now() const override { return WallTime(std::chrono::hours(500'000)) + time.time_since_epoch(); }
  Time time{std::chrono::seconds(1000)};
};

class CountingRandom final : public Random {
 public:
  void fill(MutableByteView out) override {
    for (auto& byte : out) byte = next_++;
  }

 private:
  std::uint8_t next_ = 1;
};

}  // namespace drpf::tests
