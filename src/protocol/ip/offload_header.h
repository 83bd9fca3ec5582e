// The header that a TUN device with IFF_VNET_HDR puts before each packet (virtio specification 1.2, section 5.1.6; host byte order).
// Declared here because Debian 12's <linux/virtio_net.h> is not valid C++.
#pragma once

#include <cstdint>

namespace drpf::protocol::ip {

struct OffloadHeader {
  static constexpr std::uint8_t needs_checksum = 1;
  static constexpr std::uint8_t gso_none = 0;
  static constexpr std::uint8_t gso_tcp4 = 1;
  static constexpr std::uint8_t gso_tcp6 = 4;
  static constexpr std::uint8_t gso_udp = 5;  // VIRTIO_NET_HDR_GSO_UDP_L4
  static constexpr std::uint8_t gso_ecn = 0x80;

  std::uint8_t flags = 0;
  std::uint8_t gso_type = gso_none;
  std::uint16_t header_length = 0;  // not to be trusted: on forwarded packets it can cover the whole first packet
  std::uint16_t gso_size = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;  // from checksum_start
  bool operator==(const OffloadHeader&) const = default;
};
static_assert(sizeof(OffloadHeader) == 10);

}  // namespace drpf::protocol::ip
