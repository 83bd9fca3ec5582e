// Which counters of one session were seen already (RFC 6479 ring). Ask it only after the packet has been authenticated.
// Usage: if (cipher.open(counter, buffer) && window.accept(counter)) deliver(...);
#pragma once

#include <array>
#include <cstdint>

#include "protocol/wireguard/constants.h"

namespace drpf::protocol::wireguard {

class ReplayWindow {
 public:
  // True once per counter, and only inside the window and below reject_after_messages. Not thread-safe, allocates nothing.
  bool accept(std::uint64_t counter);

 private:
  static constexpr std::size_t word_bits = 64;
  static constexpr std::size_t words = replay_ring_bits / word_bits;

  std::uint64_t greatest_ = 0;
  std::array<std::uint64_t, words> ring_{};
};

}  // namespace drpf::protocol::wireguard
