#include "client/connect/kernel_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(KernelSteps, ARuleOfThePlanSaysTheSameInTheKernel) {
  PlannedRule rule;
  rule.family = Family::v6;
  rule.priority = 31000;
  rule.table = 7000;
  rule.from = *parse_prefix("fd77::2/128");
  rule.to = *parse_prefix("2001:db8::/32");
  rule.mark = 0x1234;
  rule.not_mark = true;
  const auto kernel = kernel_rule(rule);
  EXPECT_EQ(kernel.family, Family::v6);
  EXPECT_EQ(kernel.priority, 31000U);
  EXPECT_EQ(kernel.table, 7000U);
  EXPECT_EQ(kernel.from, rule.from);
  EXPECT_EQ(kernel.to, rule.to);
  EXPECT_TRUE(kernel.inverted);
  EXPECT_EQ(kernel.mark, (system::RoutingRule::Mark{0x1234, 0xffffffff})) << "the whole mark";
  EXPECT_FALSE(kernel.suppress_prefix_length);
  rule.mark.reset();
  rule.not_mark = false;
  rule.suppress_default = true;
  EXPECT_FALSE(kernel_rule(rule).mark);
  EXPECT_FALSE(kernel_rule(rule).inverted);
  EXPECT_EQ(kernel_rule(rule).suppress_prefix_length, 0U);
}

TEST(KernelSteps, EveryRuleOfAPlanIsKnownAgainAsItsOwn) {
  for (const auto reach : {Reach::selected, Reach::everything}) {
    const auto at = rule_priorities("home", reach);
    for (const bool suppress : {false, true}) {
      for (const auto priority : {at.gateway, at.first, at.second}) {
        PlannedRule rule;
        rule.priority = priority;
        rule.table = suppress ? main_table : own_table("home");
        rule.suppress_default = suppress;
        EXPECT_EQ(is_own_rule("home", planned_rule(kernel_rule(rule))), is_own_rule("home", rule));
      }
    }
  }
  system::RoutingRule strange;
  strange.suppress_prefix_length = 8;
  EXPECT_FALSE(planned_rule(strange).suppress_default) << "a rule of somebody else";
}

TEST(KernelSteps, ARouteLeadsThroughTheTunnelAndIsOnLinkWhereItHasAGateway) {
  PlannedRoute planned;
  planned.to = *parse_prefix("10.77.0.0/16");
  planned.table = 7000;
  auto route = kernel_route(planned, "home");
  EXPECT_EQ(route.destination, planned.to);
  EXPECT_EQ(route.interface, "home");
  EXPECT_EQ(route.table, 7000U);
  EXPECT_FALSE(route.gateway);
  EXPECT_FALSE(route.on_link);
  planned.gateway = *parse_address("10.77.0.1");
  route = kernel_route(planned, "home");
  EXPECT_EQ(route.gateway, planned.gateway);
  EXPECT_TRUE(route.on_link);
}

TEST(KernelSteps, ANoteIsNoWayToWriteAnythingElse) {
  EXPECT_THAT(former_settings("net.ipv4.conf.all.src_valid_mark 0\n"), ElementsAre(std::pair("net.ipv4.conf.all.src_valid_mark", "0")));
  EXPECT_THAT(former_settings("net.ipv4.conf.all.src_valid_mark 1\n"), ElementsAre(std::pair("net.ipv4.conf.all.src_valid_mark", "1")));
  for (const auto* other : {"", "net.ipv4.conf.all.src_valid_mark", "net.ipv4.conf.all.src_valid_mark 2\n", "net.ipv4.ip_forward 1\n",
                            "kernel.core_pattern 0\n", "../x 1"})
    EXPECT_THAT(former_settings(other), IsEmpty()) << other;
}

}  // namespace
}  // namespace drpf::client
