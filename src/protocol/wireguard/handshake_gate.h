// Which handshake messages may cost public-key work: mac1 always; under load also mac2 (else a cookie goes back) and the limiter.
//
// Usage, in the handshake thread, for everything that is not data:
//   auto verdict = gate.check(datagram, from, queued, now, random);   // variant: GatePass, GateReply{bytes to send back}, GateDrop
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "core/address.h"
#include "core/bytes.h"
#include "core/random.h"
#include "core/time.h"
#include "protocol/wireguard/cookie.h"
#include "protocol/wireguard/handshake_limiter.h"
#include "protocol/wireguard/load_meter.h"
#include "protocol/wireguard/messages.h"

namespace drpf::protocol::wireguard {

enum class DropReason : std::uint8_t {
  malformed,           // no WireGuard handshake message
  bad_mac1,            // not addressed to our public key
  rate_limited,        // the source sends too many handshakes while we are under load
  unknown_key,         // no peer has this static key (for the caller's own use)
  unknown_index,       // no handshake or session waits under this index
  not_authentic,       // decryption failed
  low_order_key,       // a public key with which no secret can be shared
  replayed_timestamp,  // an initiation not newer than one accepted before
  too_many_initiations,
  unexpected_cookie,
};
inline constexpr std::size_t drop_reasons = static_cast<std::size_t>(DropReason::unexpected_cookie) + 1;
inline constexpr std::string_view to_string(DropReason reason) {
  constexpr std::string_view words[drop_reasons] = {
      "malformed",     "bad_mac1",      "rate_limited",       "unknown_key",          "unknown_index",
      "not_authentic", "low_order_key", "replayed_timestamp", "too_many_initiations", "unexpected_cookie"};
  return words[static_cast<std::size_t>(reason)];
}

struct GatePass {
  MessageType type;
};
struct GateReply {
  Bytes cookie_reply;  // to be sent to where the message came from, and never learned as an endpoint
};
struct GateDrop {
  DropReason reason;
};
using GateVerdict = std::variant<GatePass, GateReply, GateDrop>;

class HandshakeGate {
 public:
  explicit HandshakeGate(const crypto::Key32& own_public) : macs_(own_public) {}
  // `queued`: handshake messages that wait behind this one.
  GateVerdict check(ByteView datagram, const Endpoint& from, std::size_t queued, Time now, Random& random);

 private:
  MacChecker macs_;
  HandshakeLimiter limiter_;
  LoadMeter load_;
};

}  // namespace drpf::protocol::wireguard
