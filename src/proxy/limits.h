// Every size, number and time of the proxy. Decides nothing.
#pragma once

#include <chrono>
#include <cstddef>

namespace drpf::proxy {

struct Limits {
  std::size_t connections = 20'000;
  std::size_t connections_per_source = 1'024;
  std::size_t associations_per_source = 16;  // of UDP
  std::chrono::seconds head{10};             // for a whole head or request of SOCKS
  std::chrono::seconds idle{60};             // between two requests
  std::chrono::seconds connect{15};
  std::chrono::seconds answer{120};          // until an upstream begins to answer
  std::chrono::seconds body{120};            // that nothing moves in a body
  std::chrono::seconds tunnel{30 * 60};      // that nothing moves in a tunnel
  std::chrono::seconds half_closed{5 * 60};  // the same, with one side ended
  std::chrono::seconds lingering{2};
  std::chrono::seconds visitor{180};  // that BIND waits for its visitor
};

// Bytes that wait for a slow reader in one direction, beside the kernel's own buffers.
inline constexpr std::size_t waiting_bytes_max = 64 * 1024;

}  // namespace drpf::proxy
