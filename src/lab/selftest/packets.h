// Packets written byte by byte, with whatever source and flags an attack needs, for both families. Sends nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/port.h"

namespace drpf::lab::selftest {

// Internet protocol numbers (IANA).
namespace protocol_number {
inline constexpr std::uint8_t icmp = 1, tcp = 6, udp = 17, dccp = 33, gre = 47, esp = 50, icmp_v6 = 58, sctp = 132, udp_lite = 136;
}

namespace tcp_flag {
inline constexpr std::uint8_t fin = 0x01, syn = 0x02, rst = 0x04, psh = 0x08, ack = 0x10;
}

struct Addresses {
  Address source;
  Address target;
};
struct Ports {
  Port source;
  Port target;
};

// Whole packets: IP header, then this.
std::string ip_packet(const Addresses& addresses, std::uint8_t protocol, const std::string& payload);
std::string udp_packet(const Addresses& addresses, const Ports& ports, const std::string& text);
std::string tcp_packet(const Addresses& addresses, const Ports& ports, std::uint8_t flags, std::uint32_t sequence, const std::string& text);
std::string echo_request(const Addresses& addresses, std::uint16_t id, const std::string& text);
// "Port unreachable" from `addresses.source` about a packet that the target is claimed to have sent.
std::string port_unreachable(const Addresses& addresses, const std::string& about);

// A UDP datagram in two fragments of which the second says that it begins `overlap` bytes before the first ends (0 = as it should be).
std::vector<std::string> udp_fragments(const Addresses& addresses, const Ports& ports, const std::string& text,
                                       std::uint16_t identification, std::size_t overlap);

}  // namespace drpf::lab::selftest
