// Observed values as short text.
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <string>

#include "core/time.h"

namespace drpf::lab {

// "10000-10004, 20110"; "none" for no port.
std::string say_ports(const std::set<std::uint16_t>& ports);
// "340 ms" or "2.4 s".
std::string say_time(Duration duration);

class Stopwatch {
 public:
  Duration elapsed() const { return std::chrono::steady_clock::now() - start_; }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace drpf::lab
