// The Internet checksum (RFC 1071). Sums are kept unfolded in the machine's byte order, so a folded sum is stored with store_native().
#pragma once

#include <cstdint>

#include "core/bytes.h"

namespace drpf::protocol::ip {

// Adds with end-around carry; the order of additions does not matter.
constexpr std::uint64_t add_with_carry(std::uint64_t sum, std::uint64_t value) {
  sum += value;
  return sum + (sum < value ? 1 : 0);
}

// The sum of the bytes; an odd last byte is padded with zero, so only the last part of a message may be odd.
std::uint64_t checksum_add(ByteView bytes, std::uint64_t sum = 0);
// The same while copying; to.size() >= from.size().
std::uint64_t checksum_copy(ByteView from, MutableByteView to, std::uint64_t sum = 0);

constexpr std::uint16_t checksum_fold(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}
constexpr std::uint16_t checksum_finish(std::uint64_t sum) { return static_cast<std::uint16_t>(~checksum_fold(sum)); }

// The pseudo header of TCP and UDP over IPv4 and IPv6 (RFC 793, RFC 8200 section 8.1): both addresses as they stand in the header.
std::uint64_t checksum_pseudo_header(ByteView source_and_destination, std::uint8_t protocol, std::uint32_t length);

}  // namespace drpf::protocol::ip
