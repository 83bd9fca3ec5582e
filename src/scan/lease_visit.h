// One visit to a leased port as packets: the SYN or the datagram that is sent, and what its answers say. Sends nothing by itself. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "core/address.h"
#include "core/bytes.h"
#include "scan/verdict.h"

namespace drpf::scan {

struct LeaseVisit {
  Protocol protocol = Protocol::tcp;
  Endpoint from;
  Endpoint to;                 // of the same family
  std::uint32_t sequence = 0;  // of the SYN
  Bytes payload = {};          // of the datagram

  Bytes packet() const;  // always the same: sent again, it belongs to the same connection
  // What this packet says of the visit; none where it is no answer to it. State, cause, sender and TTL are filled in.
  std::optional<Verdict> answer_in(ByteView packet) const;
  // After a SYN/ACK: the RST that ends the connection before any program sees it.
  Bytes reset() const;

 private:
  Bytes segment(std::uint8_t flags, std::uint32_t number) const;
};

}  // namespace drpf::scan
