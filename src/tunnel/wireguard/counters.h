// What the engine did not do, by reason, and which offloads it had to give up.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "protocol/wireguard/handshake_gate.h"

namespace drpf::tunnel::wireguard {

struct Counters {
  using Count = std::atomic<std::uint64_t>;
  // Out of the TUN device.
  Count tun_malformed{0};
  Count no_route{0};     // no peer has this address
  Count no_endpoint{0};  // the peer's place is not known
  Count staged_dropped{0};
  Count lease_ended{0};  // let through by the kernel just before the lease ended
  Count send_failed{0};
  Count too_long{0};
  // Out of the network.
  Count datagram_malformed{0};
  Count unknown_session{0};
  Count session_expired{0};
  Count not_authentic{0};
  Count replayed{0};
  Count packet_malformed{0};
  Count wrong_source{0};  // decrypted, but from an address that is not the peer's
  Count not_admitted{0};  // decrypted, but from an endpoint address that was not admitted yet
  Count tun_write_failed{0};
  Count handshake_queue_full{0};
  Count handshake_dropped{0};
  std::array<Count, protocol::wireguard::drop_reasons> handshake_dropped_for{};
  Count cookies_sent{0};
  // Offloads given up at run time.
  Count udp_gso_given_up{0};
  Count tun_tso_given_up{0};
  Count tun_uso_given_up{0};

  static void add(Count& count, std::uint64_t n = 1) { count.fetch_add(n, std::memory_order_relaxed); }
};

}  // namespace drpf::tunnel::wireguard
