#include "scan/lease_visit.h"

#include "protocol/ip/checksum.h"
#include "protocol/ip/packet.h"
#include "protocol/ip/wire.h"
#include "scan/icmp_meaning.h"

namespace drpf::scan {
namespace {

namespace ip = protocol::ip;

constexpr std::uint8_t hop_limit = 64;
constexpr std::uint8_t flag_syn = 0x02;
constexpr std::uint8_t flag_rst = 0x04;
constexpr std::uint16_t window = 1024;
constexpr std::uint16_t segment_size_max = 1240;  // fits through any tunnel of IPv6
constexpr std::size_t icmp_header_size = 8;
constexpr std::size_t quoted_ports_size = 4;
constexpr std::size_t quoted_sequence_end = 8;

Bytes ip_packet(const Endpoint& from, const Endpoint& to, std::uint8_t protocol, ByteView transport, std::size_t checksum_at) {
  ByteWriter writer;
  const bool v4 = from.address.is_v4();
  if (v4)
    writer.u8(0x45).u8(0).u16_be(static_cast<std::uint16_t>(ip::ipv4_header_size + transport.size())).u16_be(0).u16_be(0x4000);
  else
    writer.u32_be(0x60000000).u16_be(static_cast<std::uint16_t>(transport.size()));
  if (v4)
    writer.u8(hop_limit).u8(protocol).u16_be(0);
  else
    writer.u8(protocol).u8(hop_limit);
  writer.bytes(from.address.bytes()).bytes(to.address.bytes()).bytes(transport);
  auto packet = writer.take();
  const MutableByteView bytes(packet);
  const std::size_t header = v4 ? ip::ipv4_header_size : ip::ipv6_header_size;
  if (v4) ip::store_native(&packet[10], ip::checksum_finish(ip::checksum_add(bytes.first(header))));
  const auto pseudo = ip::checksum_pseudo_header(ip::addresses(packet), protocol, static_cast<std::uint32_t>(transport.size()));
  auto sum = ip::checksum_finish(ip::checksum_add(bytes.subspan(header), pseudo));
  if (sum == 0 && protocol == ip::protocol_udp) sum = 0xffff;  // 0 says "none" (RFC 768)
  ip::store_native(&packet[header + checksum_at], sum);
  return packet;
}

}  // namespace

Bytes LeaseVisit::segment(std::uint8_t flags, std::uint32_t number) const {
  const bool syn = flags == flag_syn;
  ByteWriter writer;
  writer.u16_be(from.port.value()).u16_be(to.port.value()).u32_be(number).u32_be(0);
  writer.u8(syn ? 0x60 : 0x50).u8(flags).u16_be(syn ? window : 0).u32_be(0);
  if (syn) writer.u8(2).u8(4).u16_be(segment_size_max);
  return ip_packet(from, to, ip::protocol_tcp, writer.view(), 16);
}

Bytes LeaseVisit::packet() const {
  if (protocol == Protocol::tcp) return segment(flag_syn, sequence);
  ByteWriter writer;
  writer.u16_be(from.port.value())
      .u16_be(to.port.value())
      .u16_be(static_cast<std::uint16_t>(ip::udp_header_size + payload.size()))
      .u16_be(0);
  writer.bytes(payload);
  return ip_packet(from, to, ip::protocol_udp, writer.view(), 6);
}

Bytes LeaseVisit::reset() const { return segment(flag_rst, sequence + 1); }

std::optional<Verdict> LeaseVisit::answer_in(ByteView packet) const {
  const auto walked = ip::walk(packet);
  if (!walked || walked->fragment || ip::destination(packet) != from.address) return std::nullopt;
  const bool v4 = walked->family == Family::v4;
  const auto sender = ip::source(packet);
  const auto body = packet.first(walked->length).subspan(walked->payload_offset);
  Verdict verdict;
  verdict.ttl = packet[v4 ? 8 : 7];
  if (walked->protocol == static_cast<std::uint8_t>(protocol)) {
    if (walked->transport_header == 0 || sender != to.address || ip::load_be16(&body[0]) != to.port.value() ||
        ip::load_be16(&body[2]) != from.port.value())
      return std::nullopt;
    verdict.state = State::open;
    if (protocol == Protocol::udp) {
      verdict.cause = Cause::udp_response;
      return verdict;
    }
    const auto flags = body[13];
    const bool for_us = (flags & ip::tcp_ack) != 0 && ip::load_be32(&body[8]) == sequence + 1;
    if ((flags & flag_rst) != 0) {
      if (!for_us) return std::nullopt;
      verdict.state = State::closed;
      verdict.cause = Cause::reset;
      return verdict;
    }
    if ((flags & flag_syn) == 0 || !for_us) return std::nullopt;
    verdict.cause = Cause::syn_ack;
    return verdict;
  }

  if (walked->protocol != (v4 ? ip::protocol_icmp : ip::protocol_icmp6) || body.size() < icmp_header_size) return std::nullopt;
  const IcmpError error{body[0], body[1]};
  const auto cause = cause_of(walked->family, error);
  if (!cause) return std::nullopt;
  // The quote may be cut short, so it is not walked: an IPv4 header of any size, or an IPv6 header without extensions.
  const auto quote = body.subspan(icmp_header_size);
  if (quote.empty() || quote[0] >> 4 != (v4 ? 4 : 6)) return std::nullopt;
  const std::size_t header = v4 ? std::size_t{4} * (quote[0] & 0x0f) : ip::ipv6_header_size;
  if (header < (v4 ? ip::ipv4_header_size : ip::ipv6_header_size) || quote.size() < header + quoted_sequence_end) return std::nullopt;
  if (quote[v4 ? 9 : 6] != static_cast<std::uint8_t>(protocol) || ip::source(quote) != from.address || ip::destination(quote) != to.address)
    return std::nullopt;
  const auto transport = quote.subspan(header);
  if (ip::load_be16(&transport[0]) != from.port.value() || ip::load_be16(&transport[2]) != to.port.value()) return std::nullopt;
  if (protocol == Protocol::tcp && ip::load_be32(&transport[quoted_ports_size]) != sequence) return std::nullopt;
  verdict.cause = *cause;
  verdict.detail = detail_of(*cause, error);
  verdict.state = protocol == Protocol::udp && *cause == Cause::port_unreach && sender == to.address ? State::closed : State::filtered;
  if (sender != to.address) verdict.sender = sender;
  return verdict;
}

}  // namespace drpf::scan
