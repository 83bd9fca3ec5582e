// Covers a set of marks with blocks that one masked comparison can match, so that neighbours are deleted in one walk of the connection
// table. Pure.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "system/conntrack.h"

namespace drpf::redirect {

// `marks`: sorted, each once, none 0. A block reaches from one of them to another and takes in no mark for which
// `is_used(first, last)` says that something between the two (both included) must stay; what else lies between was never given out or is
// over. The generations of one device's leases are given out in a row: ten of them are at most six blocks.
template <class IsUsed>
std::vector<system::MarkBlock> mark_blocks(std::span<const std::uint32_t> marks, IsUsed is_used) {
  std::vector<system::MarkBlock> out;
  const auto last_mark = marks.empty() ? 0 : marks.back();
  for (std::size_t i = 0; i < marks.size();) {
    const auto first = marks[i];
    // The largest block that begins here: aligned, not past the last mark, and with nothing in it that must stay.
    std::uint32_t size = 1;
    while (size <= 0x40000000 && first % (size * 2) == 0 && last_mark - first >= size * 2 - 1 && !is_used(first, first + size * 2 - 1))
      size *= 2;
    out.push_back({first, ~(size - 1)});
    const auto beyond = std::upper_bound(marks.begin(), marks.end(), first + (size - 1));
    i = static_cast<std::size_t>(beyond - marks.begin());
  }
  return out;
}

}  // namespace drpf::redirect
