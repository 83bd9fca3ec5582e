#include "protocol/wireguard/handshake_gate.h"

namespace drpf::protocol::wireguard {

GateVerdict HandshakeGate::check(ByteView datagram, const Endpoint& from, std::size_t queued, Time now, Random& random) {
  const auto type = classify(datagram);
  if (!type || *type == MessageType::data) return GateDrop{DropReason::malformed};
  if (*type == MessageType::cookie_reply) return GatePass{*type};  // sealed for one message of ours; costs no public-key work
  if (!macs_.mac1_valid(datagram)) return GateDrop{DropReason::bad_mac1};
  const auto kind = *type == MessageType::initiation ? LoadMeter::Kind::unasked : LoadMeter::Kind::answer;
  if (!load_.note(kind, queued, now)) return GatePass{*type};
  if (!macs_.mac2_valid(datagram, from, now)) return GateReply{macs_.make_reply(datagram, from, now, random)};
  if (!limiter_.allow(from.address, now)) return GateDrop{DropReason::rate_limited};
  return GatePass{*type};
}

}  // namespace drpf::protocol::wireguard
