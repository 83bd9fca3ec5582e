// The four WireGuard messages as bytes: sizes, types, decoding and encoding. No cryptography.
//
// Packet path: classify(datagram) -> data -> read_data_header(datagram) gives receiver index and counter; the sealed packet starts at
// data_header_size. To send: write_data_header(slot, remote_index, counter) in front of the sealed packet.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/bytes.h"
#include "crypto/wireguard_primitives.h"

namespace drpf::protocol::wireguard {

enum class MessageType : std::uint8_t { initiation = 1, response = 2, cookie_reply = 3, data = 4 };

inline constexpr std::size_t tag_size = 16;
inline constexpr std::size_t mac_size = 16;
inline constexpr std::size_t initiation_size = 148;
inline constexpr std::size_t response_size = 92;
inline constexpr std::size_t cookie_reply_size = 64;
inline constexpr std::size_t data_header_size = 16;
inline constexpr std::size_t keepalive_size = data_header_size + tag_size;  // a data message with an empty packet
inline constexpr std::size_t data_overhead = data_header_size + tag_size;

// The `noise` parts are the Noise_IKpsk2 messages proper: ephemeral || static || timestamp, and ephemeral || empty.
inline constexpr std::size_t initiation_noise_size = 32 + 48 + 28;
inline constexpr std::size_t response_noise_size = 32 + 16;

struct Initiation {
  std::uint32_t sender = 0;
  std::array<std::uint8_t, initiation_noise_size> noise{};
  crypto::Tag16 mac1{};
  crypto::Tag16 mac2{};
};
struct Response {
  std::uint32_t sender = 0;
  std::uint32_t receiver = 0;
  std::array<std::uint8_t, response_noise_size> noise{};
  crypto::Tag16 mac1{};
  crypto::Tag16 mac2{};
};
struct CookieReply {
  std::uint32_t receiver = 0;
  std::array<std::uint8_t, 24> nonce{};
  std::array<std::uint8_t, 32> sealed_cookie{};
};
struct DataHeader {
  std::uint32_t receiver = 0;
  std::uint64_t counter = 0;
};

// By type word and size; none for anything else. Data messages have at least keepalive_size bytes.
std::optional<MessageType> classify(ByteView datagram);

std::optional<Initiation> decode_initiation(ByteView datagram);
std::optional<Response> decode_response(ByteView datagram);
std::optional<CookieReply> decode_cookie_reply(ByteView datagram);
// Only for what classify() called data.
DataHeader read_data_header(ByteView datagram);

Bytes encode(const Initiation& message);
Bytes encode(const Response& message);
Bytes encode(const CookieReply& message);
// The first data_header_size bytes of `slot`.
void write_data_header(MutableByteView slot, std::uint32_t receiver, std::uint64_t counter);

// Size of a packet with its padding: a multiple of 16, but never beyond the MTU; an oversized packet stays as it is.
std::size_t padded_size(std::size_t packet_size, std::size_t mtu);

}  // namespace drpf::protocol::wireguard
