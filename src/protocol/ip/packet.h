// Where the headers of one IP packet lie. Reads only; every packet may be hostile, nothing is trusted that was not checked against its end.
#pragma once

#include <cstdint>
#include <optional>

#include "core/address.h"
#include "core/bytes.h"

namespace drpf::protocol::ip {

inline constexpr std::uint8_t protocol_icmp = 1;
inline constexpr std::uint8_t protocol_tcp = 6;
inline constexpr std::uint8_t protocol_udp = 17;
inline constexpr std::uint8_t protocol_icmp6 = 58;
inline constexpr std::size_t ipv4_header_size = 20;
inline constexpr std::size_t ipv6_header_size = 40;
inline constexpr std::size_t tcp_header_size = 20;
inline constexpr std::size_t udp_header_size = 8;
inline constexpr int ipv6_extension_headers_max = 8;

// The control bits of TCP's header (RFC 9293 section 3.1, RFC 3168).
inline constexpr std::uint8_t tcp_fin = 0x01;
inline constexpr std::uint8_t tcp_syn = 0x02;
inline constexpr std::uint8_t tcp_rst = 0x04;
inline constexpr std::uint8_t tcp_psh = 0x08;
inline constexpr std::uint8_t tcp_ack = 0x10;
inline constexpr std::uint8_t tcp_urg = 0x20;
inline constexpr std::uint8_t tcp_cwr = 0x80;

struct Packet {
  Family family = Family::v4;
  std::size_t length = 0;            // the whole packet by its own header; what follows in the buffer is padding
  std::uint8_t protocol = 0;         // of the payload, after IPv6 extension headers
  std::size_t payload_offset = 0;    // first byte behind the IP headers
  std::size_t transport_header = 0;  // size of the TCP or UDP header; 0 = other protocol, a later fragment, or a broken header
  bool plain_header = false;         // neither IPv4 options nor IPv6 extension headers
  bool fragment = false;             // more fragments follow, or not the first one
  std::size_t data_offset() const { return payload_offset + transport_header; }
  std::size_t data_size() const { return length - data_offset(); }
};

// None: not an IP packet, or its header or total length does not fit into the bytes.
std::optional<Packet> walk(ByteView bytes);
// The size by the packet's own header, checked like in walk(); none where it does not fit.
std::optional<std::size_t> total_length(ByteView bytes);

// Both addresses as they stand, 8 or 32 bytes. The packet has been walked.
ByteView addresses(ByteView bytes);
Address source(ByteView bytes);
Address destination(ByteView bytes);

}  // namespace drpf::protocol::ip
