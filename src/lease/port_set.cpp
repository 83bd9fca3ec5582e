#include "lease/port_set.h"

#include <algorithm>
#include <bit>

namespace drpf::lease {

std::uint32_t PortSet::size() const {
  std::uint32_t members = 0;
  for (const auto word : words_) members += static_cast<std::uint32_t>(std::popcount(word));
  return members;
}

PortSet PortSet::without(const PortSet& other) const {
  PortSet rest = *this;
  for (std::size_t i = 0; i < words_.size(); ++i) rest.words_[i] &= ~other.words_[i];
  return rest;
}

std::optional<PortRange> PortSet::first_run(PortRange within, std::uint32_t count) const {
  const std::uint32_t end = std::uint32_t{within.last().value()} + 1;
  std::uint32_t from = within.first().value();
  while (count > 0 && from + count <= end) {
    from = next(from, true);
    if (from + count > end) return std::nullopt;
    const auto run_end = next(from, false);
    if (run_end - from >= count)
      return PortRange(Port{static_cast<std::uint16_t>(from)}, Port{static_cast<std::uint16_t>(from + count - 1)});
    from = run_end;
  }
  return std::nullopt;
}

void PortSet::fill(PortRange range, bool in) {
  for (std::uint32_t number = range.first().value(); number <= range.last().value();) {
    const auto bit = number % 64;
    const auto bits = std::min<std::uint32_t>(64 - bit, range.last().value() - number + 1);
    const auto mask = (bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1) << bit;
    words_[number / 64] = in ? words_[number / 64] | mask : words_[number / 64] & ~mask;
    number += bits;
  }
}

std::uint32_t PortSet::next(std::uint32_t from, bool in) const {
  while (from < numbers) {
    const auto word = (in ? words_[from / 64] : ~words_[from / 64]) >> (from % 64);
    if (word != 0) return from + static_cast<std::uint32_t>(std::countr_zero(word));
    from = (from / 64 + 1) * 64;
  }
  return numbers;
}

}  // namespace drpf::lease
