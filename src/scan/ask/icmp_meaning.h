// What an ICMP or ICMPv6 error about a probe is called. Which state it makes of a port depends on the kind of scan: see the table.
#pragma once

#include <cstdint>
#include <optional>

#include "core/address.h"
#include "scan/verdict.h"

namespace drpf::scan {

struct IcmpError {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  constexpr auto operator<=>(const IcmpError&) const = default;
};

// None for messages that say nothing about a port: source quench, packet too big, and all that is no error.
std::optional<Cause> cause_of(Family family, IcmpError error);

// The code that Verdict::detail carries: of the rare codes that have no name of their own.
inline int detail_of(Cause cause, IcmpError error) { return cause == Cause::other_unreach ? error.code : 0; }

}  // namespace drpf::scan
