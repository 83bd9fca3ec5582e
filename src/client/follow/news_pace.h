// How many news of one kind are told: a program that opens and closes sockets without end does not fill the screen. Pure.
#pragma once

#include <cstddef>
#include <utility>

#include "core/time.h"

namespace drpf::client {

class NewsPace {
 public:
  static constexpr std::size_t a_second_max = 10;

  // Whether one more is told; else it is counted.
  bool allow(Time now) {
    if (now - began_ >= std::chrono::seconds(1)) {
      began_ = now;
      told_ = 0;
    }
    if (left_out_ == 0 && told_ < a_second_max) return ++told_ > 0;
    ++left_out_;
    return false;
  }
  // How many were left out, once there is room to say so.
  std::size_t take_left_out(Time now) { return now - began_ >= std::chrono::seconds(1) ? std::exchange(left_out_, 0) : 0; }

 private:
  Time began_{};
  std::size_t told_ = 0;
  std::size_t left_out_ = 0;
};

}  // namespace drpf::client
