// A port for the loopback interface that hardly anybody else has at this moment: several test programs may run at once.
#pragma once

#include <random>

#include "core/port.h"

namespace drpf::net {

inline Port random_port() {
  std::random_device random;
  return Port{static_cast<std::uint16_t>(20'000 + random() % 12'000)};  // below what the kernel gives out by itself
}

}  // namespace drpf::net
