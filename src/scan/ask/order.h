// The order in which a scan asks: a keyed permutation of 0..count-1, so that no host and no port range is asked in one go, and a seed
// and an index say where one was. A Feistel network over the next even number of bits, walked until it lands inside (cycle walking).
#pragma once

#include <array>
#include <cstdint>

namespace drpf::scan {

class Order {
 public:
  static constexpr int rounds = 4;

  Order(std::uint64_t seed, std::uint64_t count);
  std::uint64_t count() const { return count_; }
  std::uint64_t at(std::uint64_t index) const;  // index < count()

 private:
  std::uint64_t permute(std::uint64_t value) const;

  std::uint64_t seed_;
  std::uint64_t count_;
  unsigned half_bits_;
};

}  // namespace drpf::scan
