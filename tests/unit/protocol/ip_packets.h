// Builds correct TCP and UDP packets over IPv4 and IPv6 for tests, and checks their checksums by the plain definition.
#pragma once

#include <cstdint>
#include <optional>

#include "core/bytes.h"
#include "protocol/ip/packet.h"
#include "protocol/ip/wire.h"

namespace drpf::test {

using namespace drpf::protocol::ip;

// RFC 1071, word by word, as slow and plain as it is written there.
inline std::uint16_t reference_checksum(ByteView bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); i += 2)
    sum += std::uint32_t{bytes[i]} << 8 | (i + 1 < bytes.size() ? std::uint32_t{bytes[i + 1]} : 0U);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

inline std::uint32_t reference_pseudo_sum(ByteView packet, std::uint8_t protocol, std::size_t length) {
  std::uint32_t sum = protocol + static_cast<std::uint32_t>(length);
  const auto both = addresses(packet);
  for (std::size_t i = 0; i < both.size(); i += 2) sum += std::uint32_t{both[i]} << 8 | both[i + 1];
  return sum;
}

inline bool checksums_good(ByteView packet) {
  const auto layout = walk(packet);
  if (!layout) return false;
  if (layout->family == Family::v4 && reference_checksum(packet.first(layout->payload_offset)) != 0) return false;
  const auto transport = packet.subspan(layout->payload_offset);
  return reference_checksum(transport, reference_pseudo_sum(packet, layout->protocol, transport.size())) == 0;
}

struct PacketSpec {
  bool v6 = false;
  bool udp = false;
  std::uint16_t source_port = 1000;
  std::uint16_t destination_port = 80;
  std::uint32_t sequence = 1;
  std::uint32_t acknowledgement = 7;
  std::uint8_t flags = tcp_ack;
  std::uint16_t window = 5000;
  Bytes tcp_options = {};  // a multiple of 4
  Bytes ip_options = {};   // a multiple of 4; IPv4 only
  std::uint8_t hop_limit = 64;
  std::uint8_t traffic_class = 0;
  std::uint16_t identification = 100;
  std::uint16_t fragment = 0x4000;  // DF
  std::size_t data_size = 100;
  std::uint8_t first_byte = 0;
  bool no_udp_checksum = false;
  std::uint8_t source_host = 1;
};

inline Bytes make_packet(const PacketSpec& spec) {
  const std::size_t transport_header = spec.udp ? udp_header_size : tcp_header_size + spec.tcp_options.size();
  const std::size_t ip_header = spec.v6 ? ipv6_header_size : ipv4_header_size + spec.ip_options.size();
  ByteWriter writer;
  if (spec.v6) {
    writer.u32_be(0x60000000U | std::uint32_t{spec.traffic_class} << 20)
        .u16_be(static_cast<std::uint16_t>(transport_header + spec.data_size));
    writer.u8(spec.udp ? 17 : 6).u8(spec.hop_limit);
    for (const auto host : {spec.source_host, std::uint8_t{9}}) writer.u16_be(0xfd00).zeros(13).u8(host);
  } else {
    writer.u8(static_cast<std::uint8_t>(0x40 | ip_header / 4)).u8(spec.traffic_class);
    writer.u16_be(static_cast<std::uint16_t>(ip_header + transport_header + spec.data_size))
        .u16_be(spec.identification)
        .u16_be(spec.fragment);
    writer.u8(spec.hop_limit).u8(spec.udp ? 17 : 6).u16_be(0).u8(10).u8(0).u8(0).u8(spec.source_host).u8(10).u8(0).u8(0).u8(9);
    writer.bytes(spec.ip_options);
  }
  writer.u16_be(spec.source_port).u16_be(spec.destination_port);
  if (spec.udp) {
    writer.u16_be(static_cast<std::uint16_t>(udp_header_size + spec.data_size)).u16_be(0);
  } else {
    writer.u32_be(spec.sequence).u32_be(spec.acknowledgement).u8(static_cast<std::uint8_t>(transport_header / 4 << 4)).u8(spec.flags);
    writer.u16_be(spec.window).u16_be(0).u16_be(0).bytes(spec.tcp_options);
  }
  for (std::size_t i = 0; i < spec.data_size; ++i) writer.u8(static_cast<std::uint8_t>(spec.first_byte + i * 7));
  auto packet = writer.take();
  if (!spec.v6) store_be16(&packet[10], reference_checksum(ByteView(packet).first(ip_header)));
  const auto transport = MutableByteView(packet).subspan(ip_header);
  const std::uint8_t protocol = spec.udp ? 17 : 6;
  auto checksum = reference_checksum(transport, reference_pseudo_sum(packet, protocol, transport.size()));
  if (spec.udp && checksum == 0) checksum = 0xffff;
  if (!(spec.udp && spec.no_udp_checksum)) store_be16(&transport[spec.udp ? 6 : 16], checksum);
  return packet;
}

// A train of full segments of one flow and a last one of tail_size (0 = another full one).
inline std::vector<Bytes> make_train(PacketSpec spec, std::size_t count, std::size_t tail_size = 0) {
  std::vector<Bytes> train;
  for (std::size_t i = 0; i < count; ++i) {
    auto one = spec;
    if (i + 1 == count && tail_size != 0) one.data_size = tail_size;
    one.first_byte = static_cast<std::uint8_t>(i * 31);
    train.push_back(make_packet(one));
    spec.sequence += static_cast<std::uint32_t>(spec.data_size);
    ++spec.identification;
  }
  return train;
}

}  // namespace drpf::test
