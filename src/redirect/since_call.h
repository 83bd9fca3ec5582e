// How long a call has taken so far: timeouts that are written late must be shorter by that.
#pragma once

#include <chrono>

#include "core/time.h"
#include "system/boot_clock.h"

namespace drpf::redirect {

class SinceCall {
 public:
  std::chrono::milliseconds milliseconds() const { return std::chrono::ceil<std::chrono::milliseconds>(clock_.now() - begin_); }

 private:
  system::SystemClock clock_;
  Time begin_ = clock_.now();
};

}  // namespace drpf::redirect
