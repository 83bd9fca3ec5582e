// What came back for one probe, and what it says about the port: the classification table. Reads no packets (reply_packet.h).
#pragma once

#include <cstdint>
#include <optional>

#include "core/address.h"
#include "scan/ask/icmp_meaning.h"
#include "scan/kind.h"
#include "scan/verdict.h"

namespace drpf::scan {

enum class AnswerType : std::uint8_t {
  syn_ack,
  syn,    // a SYN alone: simultaneous open
  reset,  // with the window that it carried
  udp,    // a datagram from the probed port
  icmp,
  protocol,  // any packet of the probed IP protocol
};

struct Answer {
  AnswerType type = AnswerType::icmp;
  Address sender = {};
  bool from_target = true;  // the sender is the address that was probed
  std::uint8_t ttl = 0;
  std::uint16_t window = 0;                     // reset
  IcmpError icmp = {};                          // icmp; numbered by the family of the sender
  std::optional<std::uint16_t> from_port = {};  // udp from another port than the probed one, where that is how the service answers
};

struct Meaning {
  State state = State::undecided;
  Cause cause = Cause::none;
  int detail = 0;
  bool operator==(const Meaning&) const = default;
};

// None: such an answer does not apply to this kind of scan, and changes nothing.
std::optional<Meaning> meaning_of(Kind kind, const Answer& answer);

// What silence after all probes means. `asked_service`: UDP in fast mode, the port was asked in the words of its own service.
Meaning meaning_of_silence(Kind kind, bool asked_service = false);

// Whether a later answer that means `next` replaces what an earlier one meant.
bool replaces(Kind kind, State present, State next);

}  // namespace drpf::scan
