// How long to wait for an answer of one host (RFC 6298), in a box that fits probing: nothing is delivered here, only asked again.
#pragma once

#include <algorithm>
#include <chrono>

#include "core/time.h"

namespace drpf::scan {

class RoundTrip {
 public:
  static constexpr Duration timeout_min = std::chrono::milliseconds(20);
  static constexpr Duration timeout_max = std::chrono::seconds(2);

  RoundTrip() = default;
  explicit RoundTrip(Duration first_timeout) : timeout_(first_timeout) {}

  void add(Duration sample) {
    lowest_ = known_ ? std::min(lowest_, sample) : sample;
    if (!known_) {
      smoothed_ = sample;
      variation_ = sample / 2;
      known_ = true;
    } else {
      const auto error = smoothed_ > sample ? smoothed_ - sample : sample - smoothed_;
      variation_ += (error - variation_) / 4;
      smoothed_ += (sample - smoothed_) / 8;
    }
    timeout_ = std::clamp(smoothed_ + 4 * variation_, timeout_min, timeout_max);
  }

  bool known() const { return known_; }
  Duration timeout() const { return timeout_; }
  // For few probes, that may as well be sent too early: a bad moment has not made it longer.
  Duration eager_timeout() const { return known_ ? std::min(timeout_, std::max<Duration>(4 * lowest_, timeout_min)) : timeout_; }

 private:
  Duration lowest_{};
  Duration smoothed_{};
  Duration variation_{};
  Duration timeout_ = std::chrono::seconds(1);
  bool known_ = false;
};

}  // namespace drpf::scan
