// The control bits of TCP's header (RFC 9293, section 3.1).
#pragma once

#include <cstdint>

namespace drpf::scan {

inline constexpr std::uint8_t flag_fin = 0x01;
inline constexpr std::uint8_t flag_syn = 0x02;
inline constexpr std::uint8_t flag_rst = 0x04;
inline constexpr std::uint8_t flag_psh = 0x08;
inline constexpr std::uint8_t flag_ack = 0x10;
inline constexpr std::uint8_t flag_urg = 0x20;

}  // namespace drpf::scan
