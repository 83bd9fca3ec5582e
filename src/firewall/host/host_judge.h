// What the personal firewall does with the first packet of a conversation, and by which rule: the meaning of a rule set. The kernel's text
// (host_ruleset_text.h) means the same; a property test holds the two together. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/address.h"
#include "firewall/host/host_ruleset.h"

namespace drpf::firewall {

struct HostPacket {
  Direction direction = Direction::in;
  std::string interface;      // by which it comes or goes
  std::uint8_t protocol = 6;  // IANA's number
  Address source;
  Address destination;
  Port source_port;  // of TCP and UDP
  Port destination_port;
  std::uint8_t icmp_type = 0;  // of ICMP and ICMPv6
  std::uint8_t hop_limit = 64;
};

struct Judgement {
  Treatment treatment{};            // limit: allowed while the limit is not reached
  std::optional<std::size_t> rule;  // its index
  std::string because;              // where no rule decides: "what is not allowed is denied", and the like
};

Judgement judge(const HostRuleset& ruleset, const HostPacket& packet);

bool fits(const HostRule& rule, const HostPacket& packet, const std::vector<ServicePorts>& leased);

// "allow, by rule 3: allow in ssh from 192.168.0.0/16"
std::string to_string(const Judgement& judgement, const HostRuleset& ruleset);

}  // namespace drpf::firewall
