// An initiation whose sender's name has been read but not yet proven: the step before the peer is looked up.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/wireguard/messages.h"
#include "protocol/wireguard/noise_handshake.h"
#include "protocol/wireguard/tai64n.h"

namespace drpf::protocol::wireguard {

class ReceivedInitiation {
 public:
  // None if the message is malformed or not meant for this identity. Costs one X25519.
  static std::optional<ReceivedInitiation> open(const Identity& own, ByteView datagram);

  const crypto::Key32& remote_static() const { return remote_static_; }
  std::uint32_t sender_index() const { return sender_index_; }
  // The second half, for Peer: proves the sender.
  std::optional<Timestamp> prove(const crypto::SecretKey& static_static);
  NoiseResponder& noise() { return noise_; }

 private:
  ReceivedInitiation(NoiseResponder noise, const Initiation& message, const crypto::Key32& remote_static);

  NoiseResponder noise_;
  crypto::Key32 remote_static_;
  std::uint32_t sender_index_;
  std::array<std::uint8_t, 28> sealed_timestamp_;
};

}  // namespace drpf::protocol::wireguard
