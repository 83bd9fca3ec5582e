// Which ports are to be looked at again when: a timing wheel of one-millisecond slots. Forgets nothing and reorders within a slot only.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "core/time.h"

namespace drpf::scan {

class RetryWheel {
 public:
  static constexpr std::size_t slots = 4096;
  static constexpr Duration slot_length = std::chrono::milliseconds(1);
  static constexpr Duration wait_max = slot_length * (slots - 2);

  explicit RetryWheel(Time start) : base_(start), slots_(slots) {}

  bool empty() const { return size_ == 0; }

  // Due not before `when`; later than wait_max from now counts as that.
  void add(std::uint32_t cell, Time when) {
    const auto ticks = std::max<std::int64_t>((when - base_) / slot_length + 1, static_cast<std::int64_t>(next_));
    const auto tick = std::min<std::uint64_t>(static_cast<std::uint64_t>(ticks), next_ + slots - 1);
    slots_[tick % slots].push_back(cell);
    ++size_;
  }

  // Calls expire(cell) for each that is due; it may add again.
  template <class Expire>
  void advance(Time now, Expire&& expire) {
    const auto until = static_cast<std::uint64_t>(std::max<std::int64_t>((now - base_) / slot_length, 0));
    for (; next_ <= until; ++next_) {
      if (size_ == 0) {
        next_ = until;
        continue;
      }
      auto& slot = slots_[next_ % slots];
      if (slot.empty()) continue;
      taken_.clear();
      taken_.swap(slot);
      size_ -= taken_.size();
      const auto present = next_;
      ++next_;  // what is added now belongs to later slots
      for (const auto cell : taken_) expire(cell);
      next_ = present;
    }
  }

  // When the next slot that holds something is due; only while !empty().
  Time next_due() const {
    for (std::uint64_t tick = next_; tick < next_ + slots; ++tick)
      if (!slots_[tick % slots].empty()) return base_ + slot_length * static_cast<std::int64_t>(tick);
    return base_ + slot_length * static_cast<std::int64_t>(next_ + slots);
  }

  void clear() {
    for (auto& slot : slots_) slot.clear();
    size_ = 0;
  }

 private:
  Time base_;
  std::uint64_t next_ = 0;  // the first slot that has not been looked at
  std::size_t size_ = 0;
  std::vector<std::vector<std::uint32_t>> slots_;
  std::vector<std::uint32_t> taken_;
};

}  // namespace drpf::scan
