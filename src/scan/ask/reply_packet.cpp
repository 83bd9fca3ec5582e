#include "scan/ask/reply_packet.h"

#include <algorithm>

#include "protocol/ip/packet.h"
#include "protocol/ip/wire.h"
#include "scan/ask/probe_packet.h"
#include "scan/ask/udp_payloads.h"

namespace drpf::scan {
namespace {

using namespace protocol::ip;

constexpr std::size_t icmp_header_size = 8;
constexpr std::size_t quoted_transport_min = 8;  // RFC 792: what an error quotes behind the IP header at least

bool is_extension(std::uint8_t type) { return type == 0 || type == 43 || type == 44 || type == 51 || type == 60 || type == 135; }

}  // namespace

// More lenient than protocol/ip's walk(): a quoted packet is cut short, and its length field speaks of the whole.
bool ReplyReader::read_headers(ByteView bytes, Headers& headers) {
  if (bytes.empty()) return false;
  if (bytes[0] >> 4 == 4) {
    const auto size = static_cast<std::size_t>(bytes[0] & 0x0f) * 4;
    if (size < ipv4_header_size || bytes.size() < size) return false;
    headers.source = Address::from_bytes(bytes.subspan(12, 4));
    headers.destination = Address::from_bytes(bytes.subspan(16, 4));
    headers.protocol = bytes[9];
    headers.ttl = bytes[8];
    headers.identification = load_be16(&bytes[4]);
    headers.later_fragment = (load_be16(&bytes[6]) & 0x1fff) != 0;
    headers.payload = size;
    return true;
  }
  if (bytes[0] >> 4 != 6 || bytes.size() < ipv6_header_size) return false;
  headers.source = Address::from_bytes(bytes.subspan(8, 16));
  headers.destination = Address::from_bytes(bytes.subspan(24, 16));
  headers.ttl = bytes[7];
  headers.protocol = bytes[6];
  headers.payload = ipv6_header_size;
  for (int i = 0; is_extension(headers.protocol); ++i) {
    const auto rest = bytes.subspan(headers.payload);
    if (i == ipv6_extension_headers_max || rest.size() < 8) return false;
    std::size_t size = (std::size_t{rest[1]} + 1) * 8;
    if (headers.protocol == 44) {
      size = 8;
      headers.later_fragment = headers.later_fragment || (load_be16(&rest[2]) & 0xfff8) != 0;
    } else if (headers.protocol == 51) {
      size = (std::size_t{rest[1]} + 2) * 4;
    }
    if (rest.size() < size) return false;
    headers.protocol = rest[0];
    headers.payload += size;
  }
  return true;
}

Reading ReplyReader::read(ByteView packet, Reply& reply) const {
  const auto length = total_length(packet);
  Headers headers;
  if (!length || !read_headers(packet.first(*length), headers)) return Reading::not_ours;
  if (headers.destination != local_ || headers.later_fragment) return Reading::not_ours;
  const auto payload = packet.first(*length).subspan(headers.payload);
  reply = Reply{};
  reply.target = headers.source;
  reply.answer.sender = headers.source;
  reply.answer.ttl = headers.ttl;
  if (headers.protocol == (local_.is_v4() ? protocol_icmp : protocol_icmp6)) return read_icmp(headers, payload, reply);
  if (headers.protocol == protocol_tcp) return read_tcp(headers, payload, reply);
  if (headers.protocol == protocol_udp) return read_udp(headers, payload, reply);
  if (kind_ != Kind::ip_protocol) return Reading::not_ours;
  // On loopback the probe itself comes by here as well.
  if (headers.source == local_ && source_of_bare_probe(headers, payload)) return Reading::not_ours;
  reply.number = headers.protocol;
  reply.answer.type = AnswerType::protocol;
  return Reading::reply;
}

// RFC 9293 section 3.5.2: a reset for a segment with ACK bears that ACK's number as its sequence; one for a segment without acknowledges
// it.
bool ReplyReader::acknowledges(const ProbeMark& mark, std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledgement) const {
  const bool acknowledged = (flags & tcp_ack) != 0 && (acknowledgement == mark.sequence + 1 || acknowledgement == mark.sequence);
  if ((flags & tcp_rst) == 0) return acknowledged && acknowledgement == mark.sequence + 1;
  const bool asked_with_ack = kind_ != Kind::ip_protocol && (tcp_flags_of(kind_) & tcp_ack) != 0;
  return acknowledged || (asked_with_ack && sequence == mark.acknowledgement);
}

Reading ReplyReader::read_tcp(const Headers& headers, ByteView tcp, Reply& reply) const {
  if (tcp.size() < 4 || !ports_.contains(load_be16(&tcp[2]))) return Reading::not_ours;
  if (tcp.size() < tcp_header_size || kind_ == Kind::udp) return Reading::stray;
  const auto port = load_be16(&tcp[0]);
  const auto sequence = load_be32(&tcp[4]);
  const auto flags = tcp[13];
  reply.source_port = load_be16(&tcp[2]);
  reply.number = port;
  if (kind_ == Kind::ip_protocol) {
    if (port != protocol_probe_port) return Reading::stray;
    reply.number = protocol_tcp;
  }
  const auto mark = key_.mark(headers.source, reply.number, reply.source_port);
  if ((flags & (tcp_syn | tcp_ack | tcp_rst)) == tcp_syn) {
    // On loopback a probe to a port of our own range comes by here as well: it is no answer to itself.
    if (sequence == key_.mark(headers.destination, reply.source_port, port).sequence) return Reading::not_ours;
    reply.answer.type = AnswerType::syn;
    return kind_ == Kind::syn ? Reading::reply : Reading::stray;
  }
  if (!acknowledges(mark, flags, sequence, load_be32(&tcp[8]))) {
    const bool own_probe = sequence == key_.mark(headers.destination, reply.source_port, port).sequence;
    return own_probe ? Reading::not_ours : Reading::stray;
  }
  if ((flags & tcp_rst) != 0) {
    reply.answer.type = AnswerType::reset;
    reply.answer.window = load_be16(&tcp[14]);
    return Reading::reply;
  }
  reply.answer.type = AnswerType::syn_ack;
  return (flags & tcp_syn) != 0 ? Reading::reply : Reading::stray;
}

Reading ReplyReader::read_udp(const Headers&, ByteView udp, Reply& reply) const {
  if (udp.size() < 4 || !ports_.contains(load_be16(&udp[2]))) return Reading::not_ours;
  if (udp.size() < udp_header_size) return Reading::stray;
  reply.source_port = load_be16(&udp[2]);
  reply.number = load_be16(&udp[0]);
  reply.answer.type = AnswerType::udp;
  if (kind_ == Kind::ip_protocol) {
    if (reply.number != protocol_probe_port) return Reading::stray;
    reply.number = protocol_udp;
    return Reading::reply;
  }
  if (kind_ != Kind::udp) return Reading::stray;
  // The last source port asks such a service only, so an answer there names its port by that.
  if (reply.source_port == ports_.first + SourcePorts::count - 1 && !answers_from_another_port(reply.number)) {
    reply.answer.from_port = reply.number;
    reply.number = 69;
  }
  return Reading::reply;
}

Reading ReplyReader::read_icmp(const Headers& headers, ByteView icmp, Reply& reply) const {
  if (icmp.size() < icmp_header_size) return Reading::not_ours;
  const auto type = icmp[0];
  if (kind_ == Kind::ip_protocol && type == (local_.is_v4() ? 0 : 129)) return read_echo(headers, icmp, reply);
  reply.answer.icmp = {type, icmp[1]};
  if (!cause_of(local_.family(), reply.answer.icmp)) return Reading::not_ours;
  reply.answer.type = AnswerType::icmp;
  const auto reading = read_quote(icmp.subspan(icmp_header_size), reply);
  reply.answer.from_target = reply.target == headers.source;
  return reading;
}

Reading ReplyReader::read_echo(const Headers& headers, ByteView icmp, Reply& reply) const {
  reply.source_port = load_be16(&icmp[4]);
  if (!ports_.contains(reply.source_port)) return Reading::not_ours;
  reply.number = local_.is_v4() ? protocol_icmp : protocol_icmp6;
  const auto mark = key_.mark(headers.source, reply.number, reply.source_port);
  if (icmp.size() < 16 || load_be32(&icmp[8]) != mark.sequence || load_be32(&icmp[12]) != mark.acknowledgement) return Reading::stray;
  reply.answer.type = AnswerType::protocol;
  return Reading::reply;
}

Reading ReplyReader::read_quote(ByteView quote, Reply& reply) const {
  Headers quoted;
  if (!read_headers(quote, quoted) || quoted.source != local_ || quoted.later_fragment) return Reading::not_ours;
  const auto transport = quote.subspan(quoted.payload);
  reply.target = quoted.destination;
  if (kind_ != Kind::ip_protocol) {
    if (quoted.protocol != (kind_ == Kind::udp ? protocol_udp : protocol_tcp)) return Reading::not_ours;
    if (transport.size() < quoted_transport_min) return Reading::not_ours;
    return read_quoted_ports(quoted, transport, load_be16(&transport[2]), reply);
  }
  if (quoted.protocol == protocol_tcp || quoted.protocol == protocol_udp) {
    if (transport.size() < quoted_transport_min) return Reading::not_ours;
    if (load_be16(&transport[2]) != protocol_probe_port) return Reading::not_ours;
    return read_quoted_ports(quoted, transport, quoted.protocol, reply);
  }
  reply.number = quoted.protocol;
  if (local_.is_v6() && is_ipv6_extension(quoted.protocol)) return Reading::reply;
  if (local_.is_v6() && transport.size() < protocol_mark_size) return Reading::not_ours;
  const auto source_port = source_of_bare_probe(quoted, transport);
  if (!source_port) return Reading::stray;
  reply.source_port = *source_port;
  return Reading::reply;
}

std::optional<std::uint16_t> ReplyReader::source_of_bare_probe(const Headers& probe, ByteView payload) const {
  if (local_.is_v6()) {
    if (payload.size() < protocol_mark_size) return std::nullopt;
    const auto port = load_be16(&payload[4]);
    const bool ours = ports_.contains(port) && load_be32(&payload[0]) == key_.mark(probe.destination, probe.protocol, port).sequence;
    return ours ? std::optional(port) : std::nullopt;
  }
  for (std::uint16_t i = 0; i < SourcePorts::count; ++i) {
    const auto port = static_cast<std::uint16_t>(ports_.first + i);
    if (key_.mark(probe.destination, probe.protocol, port).identification() == probe.identification) return port;
  }
  return std::nullopt;
}

Reading ReplyReader::read_quoted_ports(const Headers& quoted, ByteView transport, std::uint16_t number, Reply& reply) const {
  reply.source_port = load_be16(&transport[0]);
  reply.number = number;
  if (!ports_.contains(reply.source_port)) return Reading::not_ours;
  if (quoted.protocol == protocol_udp) return Reading::reply;
  const auto mark = key_.mark(reply.target, number, reply.source_port);
  return load_be32(&transport[4]) == mark.sequence ? Reading::reply : Reading::stray;
}

}  // namespace drpf::scan
