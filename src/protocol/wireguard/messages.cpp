#include "protocol/wireguard/messages.h"

#include <algorithm>
#include <cassert>

#include "protocol/wireguard/constants.h"

namespace drpf::protocol::wireguard {
namespace {

// The type is one byte and three reserved zeros, which makes a little-endian word.
std::uint32_t type_word(MessageType type) { return static_cast<std::uint32_t>(type); }

}  // namespace

std::optional<MessageType> classify(ByteView datagram) {
  ByteReader reader(datagram);
  const auto word = reader.u32_le();
  if (reader.failed()) return std::nullopt;
  if (word == type_word(MessageType::initiation) && datagram.size() == initiation_size) return MessageType::initiation;
  if (word == type_word(MessageType::response) && datagram.size() == response_size) return MessageType::response;
  if (word == type_word(MessageType::cookie_reply) && datagram.size() == cookie_reply_size) return MessageType::cookie_reply;
  if (word == type_word(MessageType::data) && datagram.size() >= keepalive_size) return MessageType::data;
  return std::nullopt;
}

std::optional<Initiation> decode_initiation(ByteView datagram) {
  if (classify(datagram) != MessageType::initiation) return std::nullopt;
  ByteReader reader(datagram.subspan(4));
  Initiation message;
  message.sender = reader.u32_le();
  message.noise = reader.array<initiation_noise_size>();
  message.mac1 = reader.array<mac_size>();
  message.mac2 = reader.array<mac_size>();
  return message;
}

std::optional<Response> decode_response(ByteView datagram) {
  if (classify(datagram) != MessageType::response) return std::nullopt;
  ByteReader reader(datagram.subspan(4));
  Response message;
  message.sender = reader.u32_le();
  message.receiver = reader.u32_le();
  message.noise = reader.array<response_noise_size>();
  message.mac1 = reader.array<mac_size>();
  message.mac2 = reader.array<mac_size>();
  return message;
}

std::optional<CookieReply> decode_cookie_reply(ByteView datagram) {
  if (classify(datagram) != MessageType::cookie_reply) return std::nullopt;
  ByteReader reader(datagram.subspan(4));
  CookieReply message;
  message.receiver = reader.u32_le();
  message.nonce = reader.array<24>();
  message.sealed_cookie = reader.array<32>();
  return message;
}

DataHeader read_data_header(ByteView datagram) {
  assert(datagram.size() >= data_header_size);
  ByteReader reader(datagram.subspan(4, data_header_size - 4));
  DataHeader header;
  header.receiver = reader.u32_le();
  header.counter = reader.u64_le();
  return header;
}

Bytes encode(const Initiation& message) {
  ByteWriter writer;
  writer.u32_le(type_word(MessageType::initiation)).u32_le(message.sender);
  return writer.bytes(message.noise).bytes(message.mac1).bytes(message.mac2).take();
}

Bytes encode(const Response& message) {
  ByteWriter writer;
  writer.u32_le(type_word(MessageType::response)).u32_le(message.sender).u32_le(message.receiver);
  return writer.bytes(message.noise).bytes(message.mac1).bytes(message.mac2).take();
}

Bytes encode(const CookieReply& message) {
  ByteWriter writer;
  writer.u32_le(type_word(MessageType::cookie_reply)).u32_le(message.receiver);
  return writer.bytes(message.nonce).bytes(message.sealed_cookie).take();
}

// By hand, because ByteWriter allocates and this is done per packet.
void write_data_header(MutableByteView slot, std::uint32_t receiver, std::uint64_t counter) {
  assert(slot.size() >= data_header_size);
  auto* out = slot.data();
  const auto put = [&out](std::uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) *out++ = static_cast<std::uint8_t>(value >> (8 * i));
  };
  put(type_word(MessageType::data), 4);
  put(receiver, 4);
  put(counter, 8);
}

std::size_t padded_size(std::size_t packet_size, std::size_t mtu) {
  const auto padded = (packet_size + padding_multiple - 1) / padding_multiple * padding_multiple;
  return std::max(packet_size, std::min(padded, mtu));
}

}  // namespace drpf::protocol::wireguard
