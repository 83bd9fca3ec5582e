#include "scan/ask/probe_packet.h"

#include <algorithm>
#include <cassert>

#include "protocol/ip/checksum.h"
#include "protocol/ip/packet.h"
#include "protocol/ip/wire.h"
#include "scan/ask/udp_payloads.h"

namespace drpf::scan {
namespace {

using namespace protocol::ip;

constexpr std::uint8_t hop_limit = 64;
constexpr std::uint16_t window = 64240;
constexpr std::uint16_t segment_size_v4 = 1460;
constexpr std::uint16_t segment_size_v6 = 1440;

std::size_t ip_header_size(Family family) { return family == Family::v4 ? ipv4_header_size : ipv6_header_size; }

void write_ip_header(MutableByteView out, const ProbeEnds& ends, std::uint8_t protocol, std::size_t payload_size, const ProbeMark& mark) {
  const auto local = ends.local.bytes();
  const auto target = ends.target.bytes();
  if (ends.target.is_v4()) {
    out[0] = 0x45;
    out[1] = 0;
    store_be16(&out[2], static_cast<std::uint16_t>(ipv4_header_size + payload_size));
    store_be16(&out[4], mark.identification());
    store_be16(&out[6], 0x4000);  // do not fragment
    out[8] = hop_limit;
    out[9] = protocol;
    store_be16(&out[10], 0);
    std::copy(local.begin(), local.end(), out.begin() + 12);
    std::copy(target.begin(), target.end(), out.begin() + 16);
    store_native(&out[10], checksum_finish(checksum_add(out.first(ipv4_header_size))));
  } else {
    store_be32(&out[0], 0x60000000);
    store_be16(&out[4], static_cast<std::uint16_t>(payload_size));
    out[6] = protocol;
    out[7] = hop_limit;
    std::copy(local.begin(), local.end(), out.begin() + 8);
    std::copy(target.begin(), target.end(), out.begin() + 24);
  }
}

std::uint64_t pseudo_header(MutableByteView packet, std::uint8_t protocol, std::size_t payload_size) {
  return checksum_pseudo_header(addresses(packet), protocol, static_cast<std::uint32_t>(payload_size));
}

std::size_t write_tcp(MutableByteView out, const ProbeEnds& ends, std::uint16_t port, std::uint8_t flags, const ProbeMark& mark) {
  const auto start = ip_header_size(ends.target.family());
  const bool with_options = (flags & tcp_syn) != 0;
  const std::size_t size = with_options ? tcp_header_size + 4 : tcp_header_size;
  write_ip_header(out, ends, protocol_tcp, size, mark);
  const auto tcp = out.subspan(start, size);
  store_be16(&tcp[0], ends.source_port);
  store_be16(&tcp[2], port);
  store_be32(&tcp[4], mark.sequence);
  store_be32(&tcp[8], (flags & tcp_ack) != 0 ? mark.acknowledgement : 0);
  tcp[12] = static_cast<std::uint8_t>(size / 4 << 4);
  tcp[13] = flags;
  store_be16(&tcp[14], window);
  store_be32(&tcp[16], 0);  // checksum, urgent pointer
  if (with_options) {
    store_be16(&tcp[20], 0x0204);  // maximum segment size
    store_be16(&tcp[22], ends.target.is_v4() ? segment_size_v4 : segment_size_v6);
  }
  store_native(&tcp[16], checksum_finish(checksum_add(tcp, pseudo_header(out, protocol_tcp, size))));
  return start + size;
}

std::size_t write_udp(MutableByteView out, const ProbeEnds& ends, std::uint16_t port, ByteView payload, const ProbeMark& mark) {
  const auto start = ip_header_size(ends.target.family());
  const auto size = udp_header_size + payload.size();
  assert(start + size <= out.size());
  write_ip_header(out, ends, protocol_udp, size, mark);
  const auto udp = out.subspan(start, size);
  store_be16(&udp[0], ends.source_port);
  store_be16(&udp[2], port);
  store_be16(&udp[4], static_cast<std::uint16_t>(size));
  store_be16(&udp[6], 0);
  std::copy(payload.begin(), payload.end(), udp.begin() + udp_header_size);
  const auto sum = checksum_finish(checksum_add(udp, pseudo_header(out, protocol_udp, size)));
  store_native(&udp[6], sum == 0 ? std::uint16_t{0xffff} : sum);  // zero means "no checksum" (RFC 768)
  return start + size;
}

std::size_t write_echo(MutableByteView out, const ProbeEnds& ends, const ProbeMark& mark) {
  const auto start = ip_header_size(ends.target.family());
  constexpr std::size_t size = 16;
  const bool v4 = ends.target.is_v4();
  write_ip_header(out, ends, v4 ? protocol_icmp : protocol_icmp6, size, mark);
  const auto echo = out.subspan(start, size);
  echo[0] = v4 ? 8 : 128;
  echo[1] = 0;
  store_be16(&echo[2], 0);
  store_be16(&echo[4], ends.source_port);
  store_be16(&echo[6], 1);
  store_be32(&echo[8], mark.sequence);
  store_be32(&echo[12], mark.acknowledgement);
  const auto sum = v4 ? checksum_add(echo) : checksum_add(echo, pseudo_header(out, protocol_icmp6, size));
  store_native(&echo[2], checksum_finish(sum));
  return start + size;
}

// Eight bytes that bring back which probe was answered: IPv6 has no identification field for that. Their checksum is that of ICMPv6 (RFC
// 4443 section 2.3): Linux routers verify it in packets of every protocol before they reject one.
std::size_t write_marked(MutableByteView out, const ProbeEnds& ends, std::uint8_t protocol, const ProbeMark& mark) {
  const auto start = ip_header_size(ends.target.family());
  write_ip_header(out, ends, protocol, protocol_mark_size, mark);
  const auto payload = out.subspan(start, protocol_mark_size);
  store_be32(&payload[0], mark.sequence);
  store_be16(&payload[4], ends.source_port);
  store_be16(&payload[6], 0);
  store_native(&payload[6], checksum_finish(checksum_add(payload, pseudo_header(out, protocol, protocol_mark_size))));
  return start + protocol_mark_size;
}

// A protocol that is understood must be spoken well enough to be answered; the others are asked by an empty packet.
std::size_t write_protocol(MutableByteView out, const ProbeEnds& ends, const ProbeMark& mark) {
  const auto protocol = static_cast<std::uint8_t>(ends.number);
  if (protocol == protocol_tcp) return write_tcp(out, ends, protocol_probe_port, tcp_syn, mark);
  if (protocol == protocol_udp) return write_udp(out, ends, protocol_probe_port, {}, mark);
  if (protocol == (ends.target.is_v4() ? protocol_icmp : protocol_icmp6)) return write_echo(out, ends, mark);
  if (ends.target.is_v6() && !is_ipv6_extension(protocol)) return write_marked(out, ends, protocol, mark);
  write_ip_header(out, ends, protocol, 0, mark);
  return ip_header_size(ends.target.family());
}

}  // namespace

std::uint8_t tcp_flags_of(Kind kind) {
  switch (kind) {
    case Kind::ack:
    case Kind::window:
      return tcp_ack;
    case Kind::fin:
      return tcp_fin;
    case Kind::xmas:
      return tcp_fin | tcp_psh | tcp_urg;
    case Kind::maimon:
      return tcp_fin | tcp_ack;
    case Kind::syn:
    case Kind::connect:
    case Kind::idle:
      return tcp_syn;
    case Kind::null:
    case Kind::udp:
    case Kind::ip_protocol:
      break;
  }
  return 0;
}

std::size_t write_probe(MutableByteView out, Kind kind, const ProbeEnds& ends, const ProbeKey& key) {
  assert(out.size() >= probe_size_max && ends.local.family() == ends.target.family());
  const auto mark = key.mark(ends.target, ends.number, ends.source_port);
  if (kind == Kind::ip_protocol) return write_protocol(out, ends, mark);
  if (kind == Kind::udp) {
    const auto payload = udp_payload(ends.service.value_or(ends.number), mark.sequence);
    return write_udp(out, ends, ends.number, payload, mark);
  }
  return write_tcp(out, ends, ends.number, tcp_flags_of(kind), mark);
}

std::size_t write_reset(MutableByteView out, const ProbeEnds& ends, const ProbeKey& key) {
  assert(out.size() >= probe_size_max && ends.local.family() == ends.target.family());
  auto mark = key.mark(ends.target, ends.number, ends.source_port);
  ++mark.sequence;  // behind the SYN
  return write_tcp(out, ends, ends.number, tcp_rst, mark);
}

}  // namespace drpf::scan
