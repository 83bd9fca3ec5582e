#include "scan/answer.h"

namespace drpf::scan {
namespace {

bool is_handshake(Kind kind) { return kind == Kind::syn || kind == Kind::connect; }
bool is_acknowledging(Kind kind) { return kind == Kind::ack || kind == Kind::window; }

std::optional<Meaning> meaning_of_reset(Kind kind, std::uint16_t window) {
  switch (kind) {
    case Kind::ack:
      return Meaning{State::unfiltered, Cause::reset};
    case Kind::window:
      return Meaning{window != 0 ? State::open : State::closed, Cause::reset};
    case Kind::syn:
    case Kind::connect:
    case Kind::fin:
    case Kind::null:
    case Kind::xmas:
    case Kind::maimon:
      return Meaning{State::closed, Cause::reset};
    case Kind::udp:
    case Kind::ip_protocol:
    case Kind::idle:
      break;
  }
  return std::nullopt;
}

State state_by_icmp(Kind kind, const Answer& answer, Cause cause) {
  if (!answer.from_target) return State::filtered;
  if (kind == Kind::udp && cause == Cause::port_unreach) return State::closed;
  if (kind != Kind::ip_protocol) return State::filtered;
  // ICMPv6 has no "protocol unreachable": an unknown next header is parameter problem 4/1 (RFC 4443 section 3.4).
  const bool unknown_header = cause == Cause::proto_unreach || (answer.sender.is_v6() && answer.icmp == IcmpError{4, 1});
  if (unknown_header) return State::closed;
  const bool understood = cause == Cause::port_unreach || (answer.sender.is_v6() && answer.icmp == IcmpError{4, 0});
  return understood ? State::open : State::filtered;
}

}  // namespace

std::optional<Meaning> meaning_of(Kind kind, const Answer& answer) {
  if (kind == Kind::idle) return std::nullopt;
  if (answer.type == AnswerType::icmp) {
    const auto cause = cause_of(answer.sender.family(), answer.icmp);
    if (!cause) return std::nullopt;
    return Meaning{state_by_icmp(kind, answer, *cause), *cause, detail_of(*cause, answer.icmp)};
  }
  if (kind == Kind::ip_protocol) return Meaning{State::open, Cause::proto_response};
  switch (answer.type) {
    case AnswerType::syn_ack:
      if (is_handshake(kind)) return Meaning{State::open, Cause::syn_ack};
      break;
    case AnswerType::syn:
      if (kind == Kind::syn) return Meaning{State::open, Cause::split_handshake};
      break;
    case AnswerType::reset:
      return meaning_of_reset(kind, answer.window);
    case AnswerType::udp:
      if (kind == Kind::udp) return Meaning{State::open, Cause::udp_response};
      break;
    case AnswerType::icmp:
    case AnswerType::protocol:
      break;
  }
  return std::nullopt;
}

Meaning meaning_of_silence(Kind kind, bool asked_service) {
  if (kind == Kind::idle) return {State::undecided, Cause::no_response};
  if (is_handshake(kind) || is_acknowledging(kind)) return {State::filtered, Cause::no_response};
  return {kind == Kind::udp && asked_service ? State::closed_filtered : State::open_filtered, Cause::no_response};
}

bool replaces(Kind kind, State present, State next) {
  if (present == next) return false;
  if (present == State::undecided || present == State::open_filtered || present == State::closed_filtered) return true;
  if (is_handshake(kind)) {
    if (present == State::open) return false;
    return present == State::filtered || next == State::open;  // closed never turns into filtered
  }
  if (is_acknowledging(kind)) {
    if (present == State::unfiltered) return next == State::open || next == State::closed;
    return present == State::filtered;
  }
  // UDP, IP protocol and the FIN family.
  return present == State::filtered && next != State::open;
}

}  // namespace drpf::scan
