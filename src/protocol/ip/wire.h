// Fixed-width loads and stores at a place that the caller has already checked. For the packet path only, where a checked reader per field
// would cost as much as the work; everything else reads through ByteReader.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace drpf::protocol::ip {

inline constexpr std::uint16_t tcp_checksum_offset = 16;  // RFC 9293 section 3.1
inline constexpr std::uint16_t udp_checksum_offset = 6;   // RFC 768

template <class T>
inline T load_native(const std::uint8_t* place) {
  T value;
  std::memcpy(&value, place, sizeof value);
  return value;
}
template <class T>
inline void store_native(std::uint8_t* place, T value) {
  std::memcpy(place, &value, sizeof value);
}

inline std::uint16_t load_be16(const std::uint8_t* place) { return static_cast<std::uint16_t>(place[0] << 8 | place[1]); }
inline std::uint32_t load_be32(const std::uint8_t* place) {
  return std::uint32_t{place[0]} << 24 | std::uint32_t{place[1]} << 16 | std::uint32_t{place[2]} << 8 | place[3];
}
inline void store_be16(std::uint8_t* place, std::uint16_t value) {
  place[0] = static_cast<std::uint8_t>(value >> 8);
  place[1] = static_cast<std::uint8_t>(value);
}
inline void store_be32(std::uint8_t* place, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) place[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}
inline std::uint32_t load_le32(const std::uint8_t* place) {
  return std::uint32_t{place[3]} << 24 | std::uint32_t{place[2]} << 16 | std::uint32_t{place[1]} << 8 | place[0];
}
inline std::uint64_t load_le64(const std::uint8_t* place) { return std::uint64_t{load_le32(place + 4)} << 32 | load_le32(place); }

}  // namespace drpf::protocol::ip
