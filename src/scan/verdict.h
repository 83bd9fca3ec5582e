// What is known of one probed port: its state, and the reason for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/address.h"
#include "core/time.h"

namespace drpf::scan {

// The six states, and the honest seventh: nothing may be said, because probes could not be sent or answers were lost on this machine.
enum class State : std::uint8_t { undecided, open, closed, filtered, unfiltered, open_filtered, closed_filtered };

std::string_view to_string(State state);  // "open|filtered"

enum class Cause : std::uint8_t {
  none,  // not probed yet
  no_response,
  syn_ack,
  split_handshake,  // a SYN alone: simultaneous open
  reset,
  udp_response,
  proto_response,
  connection_refused,  // connect scan that knows only errno
  ipid_step,           // idle scan
  net_unreach,
  host_unreach,
  proto_unreach,
  port_unreach,
  net_prohibited,
  host_prohibited,
  admin_prohibited,
  other_unreach,  // a rare code of ICMP type 3 or ICMPv6 type 1, told by its number
  time_exceeded,
  param_problem,
  no_route,
  beyond_scope,
  addr_unreach,
  policy_fail,
  reject_route,
  local_error,  // told by its errno; never a statement about the target
};

std::string_view to_string(Cause cause);  // "syn-ack", "admin-prohibited"

struct Verdict {
  State state = State::undecided;
  Cause cause = Cause::none;
  std::optional<Address> sender = {};    // who answered, where it was not the target itself
  std::optional<std::uint8_t> ttl = {};  // of the answer; hop limit in IPv6
  std::optional<Duration> rtt = {};      // from the probe that was answered
  std::uint16_t probes = 0;              // sent so far
  int detail = 0;                        // other_unreach: the ICMP code; local_error: errno
  std::string note = {};                 // what else is to be said, e.g. "answered from port 40001"; mostly empty
};

// "reset", "admin-prohibited from 203.0.113.9", "local-error (too many open files)"
std::string reason_text(const Verdict& verdict);

}  // namespace drpf::scan
