// A number that only grows while the gateway runs, under the name that status and API show. Counts nothing itself.
#pragma once

#include <cstdint>
#include <string>

namespace drpf::tunnel {

struct Counter {
  std::string name;
  std::uint64_t value = 0;
};

}  // namespace drpf::tunnel
