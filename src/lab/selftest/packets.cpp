#include "lab/selftest/packets.h"

#include <algorithm>
#include <span>

#include "lab/stage/sockets.h"

namespace drpf::lab::selftest {
namespace {

constexpr std::uint8_t hops = 64;
constexpr std::size_t header_v4 = 20;
constexpr std::uint8_t fragment_header_v6 = 44;  // RFC 8200 section 4.5

void append_16(std::string& to, std::uint32_t value) {
  to.push_back(static_cast<char>(value >> 8 & 0xff));
  to.push_back(static_cast<char>(value & 0xff));
}

void append_32(std::string& to, std::uint32_t value) {
  append_16(to, value >> 16);
  append_16(to, value & 0xffff);
}

void append(std::string& to, const Address& address) {
  for (const std::uint8_t byte : address.bytes()) to.push_back(static_cast<char>(byte));
}

std::uint16_t checksum(const std::string& bytes) {
  return lab::internet_checksum({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

void put_16(std::string& bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<char>(value >> 8);
  bytes[at + 1] = static_cast<char>(value & 0xff);
}

// Over the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1) and the segment, whose own field is zero.
std::uint16_t transport_checksum(const Addresses& addresses, std::uint8_t protocol, const std::string& segment) {
  std::string all;
  append(all, addresses.source);
  append(all, addresses.target);
  append_32(all, static_cast<std::uint32_t>(segment.size()));
  append_32(all, protocol);
  return checksum(all + segment);
}

std::string udp_segment(const Addresses& addresses, const Ports& ports, const std::string& text) {
  std::string segment;
  append_16(segment, ports.source.value());
  append_16(segment, ports.target.value());
  append_16(segment, static_cast<std::uint32_t>(8 + text.size()));
  append_16(segment, 0);
  segment += text;
  const std::uint16_t sum = transport_checksum(addresses, protocol_number::udp, segment);
  put_16(segment, 6, sum == 0 ? std::uint16_t{0xffff} : sum);  // RFC 768: 0 says that there is none
  return segment;
}

std::string with_header(const Addresses& addresses, std::uint8_t protocol, const std::string& payload, std::uint16_t identification,
                        std::uint16_t fragment_field) {
  std::string packet;
  if (addresses.source.is_v4()) {
    packet = {0x45, 0};
    append_16(packet, static_cast<std::uint32_t>(header_v4 + payload.size()));
    append_16(packet, identification);
    append_16(packet, fragment_field);
    packet += {static_cast<char>(hops), static_cast<char>(protocol), 0, 0};
    append(packet, addresses.source);
    append(packet, addresses.target);
    put_16(packet, 10, checksum(packet));
  } else {
    packet = {0x60, 0, 0, 0};
    append_16(packet, static_cast<std::uint32_t>(payload.size()));
    packet += {static_cast<char>(protocol), static_cast<char>(hops)};
    append(packet, addresses.source);
    append(packet, addresses.target);
  }
  return packet + payload;
}

}  // namespace

std::string ip_packet(const Addresses& addresses, std::uint8_t protocol, const std::string& payload) {
  constexpr std::uint16_t dont_fragment = 0x4000;
  return with_header(addresses, protocol, payload, 0, dont_fragment);
}

std::string udp_packet(const Addresses& addresses, const Ports& ports, const std::string& text) {
  return ip_packet(addresses, protocol_number::udp, udp_segment(addresses, ports, text));
}

std::string tcp_packet(const Addresses& addresses, const Ports& ports, std::uint8_t flags, std::uint32_t sequence,
                       const std::string& text) {
  constexpr std::uint32_t acknowledged = 1, window = 65535;
  std::string segment;
  append_16(segment, ports.source.value());
  append_16(segment, ports.target.value());
  append_32(segment, sequence);
  append_32(segment, (flags & tcp_flag::ack) != 0 ? acknowledged : 0);
  segment += {0x50, static_cast<char>(flags)};  // a header of five words
  append_16(segment, window);
  append_32(segment, 0);  // checksum, urgent pointer
  segment += text;
  put_16(segment, 16, transport_checksum(addresses, protocol_number::tcp, segment));
  return ip_packet(addresses, protocol_number::tcp, segment);
}

std::string echo_request(const Addresses& addresses, std::uint16_t id, const std::string& text) {
  const bool v4 = addresses.source.is_v4();
  std::string message = {static_cast<char>(v4 ? 8 : 128), 0, 0, 0};  // RFC 792, RFC 4443
  append_16(message, id);
  append_16(message, 1);
  message += text;
  put_16(message, 2, v4 ? checksum(message) : transport_checksum(addresses, protocol_number::icmp_v6, message));
  return ip_packet(addresses, v4 ? protocol_number::icmp : protocol_number::icmp_v6, message);
}

std::string port_unreachable(const Addresses& addresses, const std::string& about) {
  const bool v4 = addresses.source.is_v4();
  std::string message = v4 ? std::string({3, 3, 0, 0, 0, 0, 0, 0}) : std::string({1, 4, 0, 0, 0, 0, 0, 0});
  message += about;
  put_16(message, 2, v4 ? checksum(message) : transport_checksum(addresses, protocol_number::icmp_v6, message));
  return ip_packet(addresses, v4 ? protocol_number::icmp : protocol_number::icmp_v6, message);
}

std::vector<std::string> udp_fragments(const Addresses& addresses, const Ports& ports, const std::string& text,
                                       std::uint16_t identification, std::size_t overlap) {
  constexpr std::size_t unit = 8;  // fragments begin at multiples of it
  const std::string segment = udp_segment(addresses, ports, text);
  const std::size_t first_length = (segment.size() / 2 + unit - 1) / unit * unit;
  const std::size_t second_begin = first_length - std::min(overlap / unit * unit, first_length);
  std::vector<std::string> fragments;
  for (const bool last : {false, true}) {
    const std::string part = last ? segment.substr(second_begin) : segment.substr(0, first_length);
    const auto begin = static_cast<std::uint32_t>(last ? second_begin : 0);
    if (addresses.source.is_v4()) {
      constexpr std::uint32_t more = 0x2000;
      fragments.push_back(
          with_header(addresses, protocol_number::udp, part, identification, static_cast<std::uint16_t>(begin / unit | (last ? 0 : more))));
    } else {
      std::string header = {static_cast<char>(protocol_number::udp), 0};
      append_16(header, begin | (last ? 0U : 1U));  // in units of 8, shifted by three bits: the bytes themselves
      append_32(header, identification);
      fragments.push_back(with_header(addresses, fragment_header_v6, header + part, 0, 0));
    }
  }
  return fragments;
}

}  // namespace drpf::lab::selftest
