#include "ruleset/dead_man.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::ruleset {
namespace {

TEST(DeadMan, RefusesWhatTheRuleSetHasNotSeen) {
  const DeadMan dead_man({"drpf0"}, parse_prefix("10.77.0.0/16").value(), parse_prefix("fd77::/64").value());
  std::vector<std::string> rules;
  for (const auto& rule : dead_man.rules()) rules.push_back(to_string(rule));
  EXPECT_THAT(rules, testing::ElementsAre("pref 100 to 10.77.0.0/16 iif lo lookup 254",  //
                                          "pref 101 to 10.77.0.0/16 fwmark 0x0/0x10000 unreachable",
                                          "pref 102 iif drpf0 fwmark 0x0/0x10000 unreachable",  //
                                          "pref 100 to fd77::/64 iif lo lookup 254", "pref 101 to fd77::/64 fwmark 0x0/0x10000 unreachable",
                                          "pref 102 iif drpf0 fwmark 0x0/0x10000 unreachable"));
  EXPECT_EQ(DeadMan({"drpf0"}, parse_prefix("10.77.0.0/16").value(), {}).rules().size(), 3U);
}

TEST(DeadMan, RefusesItFromEveryTunnel) {
  const DeadMan dead_man({"drpf0", "drpf1"}, parse_prefix("10.77.0.0/16").value(), {});
  std::vector<std::string> refused;
  for (const auto& rule : dead_man.rules())
    if (rule.action == system::RuleAction::unreachable && rule.incoming_interface) refused.push_back(*rule.incoming_interface);
  EXPECT_EQ(refused, (std::vector<std::string>{"drpf0", "drpf1"}));
}

}  // namespace
}  // namespace drpf::ruleset
