#include "scan/verdict.h"

#include <cstring>

#include <fmt/format.h>

namespace drpf::scan {

std::string_view to_string(State state) {
  switch (state) {
    case State::undecided:
      return "undecided";
    case State::open:
      return "open";
    case State::closed:
      return "closed";
    case State::filtered:
      return "filtered";
    case State::unfiltered:
      return "unfiltered";
    case State::open_filtered:
      return "open|filtered";
    case State::closed_filtered:
      break;
  }
  return "closed|filtered";
}

std::string_view to_string(Cause cause) {
  switch (cause) {
    case Cause::none:
      return "not-probed";
    case Cause::no_response:
      return "no-response";
    case Cause::syn_ack:
      return "syn-ack";
    case Cause::split_handshake:
      return "split-handshake";
    case Cause::reset:
      return "reset";
    case Cause::udp_response:
      return "udp-response";
    case Cause::proto_response:
      return "proto-response";
    case Cause::connection_refused:
      return "conn-refused";
    case Cause::ipid_step:
      return "ipid-step";
    case Cause::net_unreach:
      return "net-unreach";
    case Cause::host_unreach:
      return "host-unreach";
    case Cause::proto_unreach:
      return "proto-unreach";
    case Cause::port_unreach:
      return "port-unreach";
    case Cause::net_prohibited:
      return "net-prohibited";
    case Cause::host_prohibited:
      return "host-prohibited";
    case Cause::admin_prohibited:
      return "admin-prohibited";
    case Cause::other_unreach:
      return "unreach";
    case Cause::time_exceeded:
      return "time-exceeded";
    case Cause::param_problem:
      return "param-problem";
    case Cause::no_route:
      return "no-route";
    case Cause::beyond_scope:
      return "beyond-scope";
    case Cause::addr_unreach:
      return "addr-unreach";
    case Cause::policy_fail:
      return "policy-fail";
    case Cause::reject_route:
      return "reject-route";
    case Cause::local_error:
      break;
  }
  return "local-error";
}

std::string reason_text(const Verdict& verdict) {
  std::string text(to_string(verdict.cause));
  if (verdict.cause == Cause::other_unreach) text += fmt::format(" (code {})", verdict.detail);
  if (verdict.cause == Cause::local_error) text += fmt::format(" ({})", std::strerror(verdict.detail));
  if (verdict.sender) text += " from " + to_string(*verdict.sender);
  return text;
}

}  // namespace drpf::scan
