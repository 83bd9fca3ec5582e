// What every message to netfilter begins with. Only for the netfilter encoders of this folder.
#pragma once

#include <array>
#include <cstdint>

namespace drpf::system {

constexpr std::size_t netfilter_header_size = 4;  // struct nfgenmsg: family, version 0, a resource number in big-endian

constexpr std::array<std::uint8_t, netfilter_header_size> netfilter_header(std::uint8_t family, std::uint16_t resource) {
  return {family, 0, static_cast<std::uint8_t>(resource >> 8), static_cast<std::uint8_t>(resource & 0xff)};
}

constexpr std::uint16_t nft_message(std::uint16_t type) { return static_cast<std::uint16_t>(10 << 8 | type); }  // NFNL_SUBSYS_NFTABLES
constexpr std::uint16_t conntrack_message(std::uint16_t type) {
  return static_cast<std::uint16_t>(1 << 8 | type);
}  // NFNL_SUBSYS_CTNETLINK

}  // namespace drpf::system
