#include "protocol/wireguard/received_initiation.h"

#include <algorithm>

namespace drpf::protocol::wireguard {
namespace {

constexpr std::size_t ephemeral_and_static_size = 80;

}  // namespace

std::optional<ReceivedInitiation> ReceivedInitiation::open(const Identity& own, ByteView datagram) {
  const auto message = decode_initiation(datagram);
  if (!message) return std::nullopt;
  NoiseResponder noise(own, wireguard_prologue());
  const auto remote_static = noise.read_first_static(ByteView(message->noise).first(ephemeral_and_static_size));
  if (!remote_static) return std::nullopt;
  return ReceivedInitiation(std::move(noise), *message, *remote_static);
}

ReceivedInitiation::ReceivedInitiation(NoiseResponder noise, const Initiation& message, const crypto::Key32& remote_static)
    : noise_(std::move(noise)), remote_static_(remote_static), sender_index_(message.sender), sealed_timestamp_{} {
  std::copy(message.noise.begin() + ephemeral_and_static_size, message.noise.end(), sealed_timestamp_.begin());
}

std::optional<Timestamp> ReceivedInitiation::prove(const crypto::SecretKey& static_static) {
  const auto payload = noise_.read_first_payload(static_static, sealed_timestamp_);
  if (!payload) return std::nullopt;
  return ByteReader(*payload).array<std::tuple_size_v<Timestamp>>();
}

}  // namespace drpf::protocol::wireguard
