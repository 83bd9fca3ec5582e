#include "protocol/ip/packet.h"

#include <cassert>

#include "protocol/ip/wire.h"

namespace drpf::protocol::ip {
namespace {

std::size_t ipv4_options_end(ByteView bytes) { return static_cast<std::size_t>(bytes[0] & 0x0f) * 4; }

std::size_t transport_header_size(ByteView bytes, const Packet& packet) {
  const auto room = packet.length - packet.payload_offset;
  if (packet.protocol == protocol_udp) return room >= udp_header_size ? udp_header_size : 0;
  if (packet.protocol != protocol_tcp || room < tcp_header_size) return 0;
  const auto size = static_cast<std::size_t>(bytes[packet.payload_offset + 12] >> 4) * 4;
  return size >= tcp_header_size && size <= room ? size : 0;
}

// RFC 8200 section 4: hop-by-hop 0, routing 43, fragment 44, authentication 51, destination options 60, mobility 135.
void walk_ipv6_extensions(ByteView bytes, Packet& packet) {
  packet.protocol = bytes[6];
  packet.payload_offset = ipv6_header_size;
  for (int i = 0; i < ipv6_extension_headers_max; ++i) {
    const auto type = packet.protocol;
    if (type != 0 && type != 43 && type != 44 && type != 51 && type != 60 && type != 135) {
      packet.plain_header = i == 0;
      return;
    }
    const auto at = packet.payload_offset;
    if (packet.length - at < 8) break;
    std::size_t size = (static_cast<std::size_t>(bytes[at + 1]) + 1) * 8;
    if (type == 51) size = (static_cast<std::size_t>(bytes[at + 1]) + 2) * 4;
    if (type == 44) size = 8;
    if (packet.length - at < size) break;
    packet.protocol = bytes[at];
    packet.payload_offset += size;
    if (type == 44 && (load_be16(&bytes[at + 2]) & 0xfff9) != 0) {
      packet.fragment = true;
      if ((load_be16(&bytes[at + 2]) & 0xfff8) != 0) return;  // a later fragment: no transport header here
    }
  }
  if (packet.fragment) return;
  packet.protocol = 59;  // "no next header": the chain is broken or too long
}

}  // namespace

std::optional<std::size_t> total_length(ByteView bytes) {
  if (bytes.empty()) return {};
  if (bytes[0] >> 4 == 4) {
    if (bytes.size() < ipv4_header_size) return {};
    const std::size_t length = load_be16(&bytes[2]);
    const auto header = ipv4_options_end(bytes);
    if (header < ipv4_header_size || length < header || length > bytes.size()) return {};
    return length;
  }
  if (bytes[0] >> 4 == 6) {
    if (bytes.size() < ipv6_header_size) return {};
    const auto length = ipv6_header_size + load_be16(&bytes[4]);
    if (length > bytes.size()) return {};
    return length;
  }
  return {};
}

std::optional<Packet> walk(ByteView bytes) {
  const auto length = total_length(bytes);
  if (!length) return {};
  Packet packet;
  packet.length = *length;
  bool later_fragment = false;
  if (bytes[0] >> 4 == 4) {
    packet.protocol = bytes[9];
    packet.payload_offset = ipv4_options_end(bytes);
    packet.plain_header = packet.payload_offset == ipv4_header_size;
    const auto fragment = load_be16(&bytes[6]);
    packet.fragment = (fragment & 0x3fff) != 0;
    later_fragment = (fragment & 0x1fff) != 0;
  } else {
    packet.family = Family::v6;
    walk_ipv6_extensions(bytes, packet);
    later_fragment = packet.fragment;  // the transport header of a first fragment is of no use to anyone here
  }
  if (!later_fragment) packet.transport_header = transport_header_size(bytes, packet);
  return packet;
}

ByteView addresses(ByteView bytes) { return bytes[0] >> 4 == 4 ? bytes.subspan(12, 8) : bytes.subspan(8, 32); }

Address source(ByteView bytes) { return Address::from_bytes(bytes[0] >> 4 == 4 ? bytes.subspan(12, 4) : bytes.subspan(8, 16)); }

Address destination(ByteView bytes) { return Address::from_bytes(bytes[0] >> 4 == 4 ? bytes.subspan(16, 4) : bytes.subspan(24, 16)); }

}  // namespace drpf::protocol::ip
