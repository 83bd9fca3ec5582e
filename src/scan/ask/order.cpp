#include "scan/ask/order.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace drpf::scan {
namespace {

// The finaliser of SplitMix64: spreads every bit of the input over all of the output.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
  value = (value ^ value >> 27) * 0x94d049bb133111ebU;
  return value ^ value >> 31;
}

}  // namespace

Order::Order(std::uint64_t seed, std::uint64_t count)
    : seed_(seed), count_(count), half_bits_(std::max(1U, static_cast<unsigned>(std::bit_width(count > 0 ? count - 1 : 0) + 1) / 2)) {}

std::uint64_t Order::permute(std::uint64_t value) const {
  const auto mask = (std::uint64_t{1} << half_bits_) - 1;
  auto left = value >> half_bits_;
  auto right = value & mask;
  for (int round = 0; round < rounds; ++round) {
    const auto next = left ^ (mix(seed_ + right * 0x9e3779b97f4a7c15U + static_cast<std::uint64_t>(round) * 0xd1342543de82ef95U) & mask);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

// At most four times as many values as wanted, so few steps on average; a permutation's cycle always comes back inside.
std::uint64_t Order::at(std::uint64_t index) const {
  assert(index < count_);
  auto value = permute(index);
  while (value >= count_) value = permute(value);
  return value;
}

}  // namespace drpf::scan
