// The rules of ufw, from its files user.rules and user6.rules, as rules of ours. Reads text, opens no file; it says what it could not carry
// over.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "firewall/host/host_rule.h"

namespace drpf::firewall {

struct UfwRules {
  std::vector<HostRule> rules;
  std::vector<std::string> not_carried_over;  // each with its line and the reason
};

inline constexpr std::size_t ufw_rules_max = 10'000;
inline constexpr std::size_t ufw_problems_max = 1000;

UfwRules read_ufw_rules(std::string_view text, const ServiceNames& names);

}  // namespace drpf::firewall
