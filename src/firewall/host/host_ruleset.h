// The personal firewall's rule set as a value, its text in a file, and where a new rule goes. Pure.
//
// The first rule that fits decides. A new rule goes before the first one with another answer that it meets and does not hold as a whole,
// so that the newer decides, and exceptions stand before what they are exceptions of; else to the end. One that says of the same packets
// something else than a rule that stands takes its place.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "firewall/host/host_rule.h"

namespace drpf::firewall {

// A TCP connection that comes in: of the person who types, over ssh.
struct HostSession {
  Endpoint remote;
  Endpoint local;
  bool operator==(const HostSession&) const = default;
};

struct HostRuleset {
  bool on = false;
  std::vector<HostRule> rules;
  std::vector<ServicePorts> leased;  // merged; not in the file
  bool panic = false;                // nothing passes but the session; not in the file: it ends with the machine's next start
  std::optional<HostSession> session;
  bool operator==(const HostRuleset&) const = default;
};

inline constexpr std::size_t host_rules_max = 20'000;
inline constexpr std::size_t host_rules_file_max = 4 * 1024 * 1024;  // bytes
inline constexpr std::string_view host_rules_version = "drpf-firewall 1";

// Error "firewall_file" with the number of the line: nothing of a file that is wrong is used.
Result<HostRuleset> parse_host_ruleset(std::string_view text, const ServiceNames& names);
std::string to_string(const HostRuleset& ruleset);

// Every packet that `inner` fits fits `outer`, whatever ports are leased.
bool covers(const HostRule& outer, const HostRule& inner);
// There may be packets that both fit.
bool meet(const HostRule& a, const HostRule& b);

struct Placed {
  std::size_t number = 0;            // from 1
  bool changed = true;               // false: the rule stands already
  std::vector<std::string> remarks;  // which rule wins over which
};
// `at`: from 1; none: as said above. Error where there is no such place, or no room.
Result<Placed> place(HostRuleset& ruleset, HostRule rule, std::optional<std::size_t> at);
// By number, or by the rule's words (its comment does not count). Returns the rule.
Result<HostRule> remove_rule(HostRuleset& ruleset, std::size_t number);
Result<HostRule> remove_rule(HostRuleset& ruleset, const HostRule& rule);

}  // namespace drpf::firewall
