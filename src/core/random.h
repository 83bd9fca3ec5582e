// Where randomness comes from, so that pure code can be given a seeded source in tests.
#pragma once

#include <array>
#include <cstdint>

#include "core/bytes.h"

namespace drpf {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutableByteView out) = 0;

  std::uint32_t u32() {
    std::array<std::uint8_t, 4> bytes{};
    fill(bytes);
    return ByteReader(bytes).u32_le();
  }
  std::uint64_t u64() {
    std::array<std::uint8_t, 8> bytes{};
    fill(bytes);
    return ByteReader(bytes).u64_le();
  }
};

}  // namespace drpf
