#include "protocol/wireguard/replay_window.h"

#include <algorithm>

namespace drpf::protocol::wireguard {

bool ReplayWindow::accept(std::uint64_t counter) {
  if (counter >= reject_after_messages) return false;
  const auto word = counter / word_bits;
  if (counter > greatest_) {
    const auto newest = greatest_ / word_bits;
    const auto passed = std::min<std::uint64_t>(word - newest, words);
    for (std::uint64_t i = 1; i <= passed; ++i) ring_[(newest + i) % words] = 0;
    greatest_ = counter;
  } else if (greatest_ - counter > replay_window_size) {
    return false;
  }
  auto& bits = ring_[word % words];
  const auto mask = std::uint64_t{1} << (counter % word_bits);
  if ((bits & mask) != 0) return false;
  bits |= mask;
  return true;
}

}  // namespace drpf::protocol::wireguard
