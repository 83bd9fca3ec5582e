// The attacks of the self-test: each does what an attacker would, beside honest packets that must get through, and says what it saw.
#pragma once

#include <span>
#include <string>

#include "lab/selftest/ground.h"
#include "lab/selftest/verdict.h"

namespace drpf::lab::selftest {

struct Threat {
  const char* name;   // for --only and scripts
  const char* title;  // for people
  Finding (*attack)(Ground& ground, Family family);
  bool both_families = true;  // else it is no matter of the address family
};

// In the order in which they are tried: what disturbs the ground comes last.
std::span<const Threat> threats();

// Ports (attacks_on_ports.cpp)
Finding shadow_udp(Ground& ground, Family family);
Finding shadow_tcp(Ground& ground, Family family);
Finding shadow_echo(Ground& ground, Family family);
Finding shadow_portless(Ground& ground, Family family);
Finding exhaust_outbound(Ground& ground, Family family);
Finding exhaust_inbound(Ground& ground, Family family);
// Flows that outlive their lease (attacks_on_flows.cpp)
Finding stale_inbound_udp(Ground& ground, Family family);
Finding stale_inbound_tcp(Ground& ground, Family family);
Finding stale_outbound(Ground& ground, Family family);
Finding stale_after_move(Ground& ground, Family family);
Finding mid_stream(Ground& ground, Family family);
Finding stale_after_expiry(Ground& ground, Family family);
// Fences between the parties (attacks_on_fences.cpp)
Finding port_fail(Ground& ground, Family family);
Finding hairpin(Ground& ground, Family family);
Finding device_to_device(Ground& ground, Family family);
Finding spoofed_device(Ground& ground, Family family);
Finding spoofed_stranger(Ground& ground, Family family);
Finding tunnel_address_from_outside(Ground& ground, Family family);
Finding fragments(Ground& ground, Family family);
Finding forged_errors(Ground& ground, Family family);
// What may be leased and who answers (attacks_on_doors.cpp)
Finding reserved_ports(Ground& ground, Family family);
Finding early_reuse(Ground& ground, Family family);
Finding public_side(Ground& ground, Family family);
Finding foreign_flush(Ground& ground, Family family);
Finding foreign_firewall(Ground& ground, Family family);
Finding dead_gateway(Ground& ground, Family family);

}  // namespace drpf::lab::selftest
