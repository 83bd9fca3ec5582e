// One visit to a leased port as packets: what is sent, and what its answers say. Sends nothing by itself. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "core/address.h"
#include "core/bytes.h"
#include "core/random.h"
#include "scan/ask/probe_key.h"
#include "scan/ask/probe_packet.h"
#include "scan/verdict.h"

namespace drpf::scan {

class LeaseVisit {
 public:
  // Of one family. `service`: the port that the lease leads to, in whose words UDP asks.
  LeaseVisit(Protocol protocol, const Address& from, const Endpoint& to, Port service, Random& random);

  Protocol protocol() const { return protocol_; }
  Endpoint from() const { return {ends_.local, Port(ends_.source_port)}; }
  Endpoint to() const { return {ends_.target, Port(ends_.number)}; }

  Bytes packet() const;  // always the same: sent again, it belongs to the same connection
  // What this packet says of the visit; none where it is no answer to it. State, cause, sender, TTL and detail are filled in.
  std::optional<Verdict> answer_in(ByteView packet) const;
  Bytes reset() const;  // after a SYN/ACK

 private:
  Kind kind() const { return protocol_ == Protocol::tcp ? Kind::syn : Kind::udp; }

  Protocol protocol_;
  ProbeKey key_;
  ProbeEnds ends_;
};

}  // namespace drpf::scan
