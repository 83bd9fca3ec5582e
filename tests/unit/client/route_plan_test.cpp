#include "client/connect/route_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using protocol::wireguard::parse_wg_quick_file;
using protocol::wireguard::WgQuickFile;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

WgQuickFile file(const std::string& interface, const std::string& allowed) {
  const auto parsed = parse_wg_quick_file(
      "[Interface]\nPrivateKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n" + interface +
          "\n[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nEndpoint = 198.51.100.1:51820\nAllowedIPs = " + allowed +
          "\n",
      "t.conf");
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed.value_or(WgQuickFile{});
}
// What programs take the router's address from.
const PlannedRoute findable{*parse_prefix("0.0.0.0/8"), main_table, parse_address("10.77.0.1").value()};
// What is reached when there is no interface any more.
PlannedRoute last_resort(const char* to, std::uint32_t table) {
  PlannedRoute route;
  route.to = *parse_prefix(to);
  route.table = table;
  route.last_resort = true;
  return route;
}
const std::string both = "Address = 10.77.0.2/32, fd77::2/128";

TEST(RoutePlan, FullTunnelFollowsTheMarkAndNotAnException) {
  const auto plan = make_route_plan(file(both, "0.0.0.0/0, ::/0"), {.interface = "home"});
  const auto table = own_table("home");
  const auto place = rule_priorities("home", Reach::everything);
  EXPECT_TRUE(plan.full_tunnel);
  EXPECT_TRUE(plan.kill_switch);
  EXPECT_EQ(plan.engine_mark, table);
  EXPECT_TRUE(plan.stays);
  EXPECT_THAT(plan.routes, ElementsAre(PlannedRoute{*parse_prefix("0.0.0.0/0"), table}, PlannedRoute{*parse_prefix("::/0"), table},
                                       last_resort("0.0.0.0/0", table), last_resort("::/0", table), findable));
  for (const auto family : {Family::v4, Family::v6}) {
    for (const auto* local : {"10.0.0.0/8", "192.168.0.0/16", "fe80::/10", "fc00::/7"}) {
      const auto to = *parse_prefix(local);
      if (to.family() != family) continue;
      EXPECT_THAT(plan.rules, Contains(PlannedRule{
                                  .family = family, .priority = place.first, .table = main_table, .to = to, .suppress_default = true}));
    }
    EXPECT_THAT(plan.rules,
                Not(Contains(PlannedRule{.family = family, .priority = place.first, .table = main_table, .suppress_default = true})))
        << "a route of others would lead past the tunnel";
    EXPECT_THAT(plan.rules,
                Contains(PlannedRule{.family = family, .priority = place.second, .table = table, .mark = table, .not_mark = true}));
  }
  EXPECT_THAT(plan.rules,
              Contains(PlannedRule{.family = Family::v4, .priority = place.gateway, .table = table, .to = *parse_prefix("10.77.0.1/32")}));
  EXPECT_THAT(plan.settings, ElementsAre(PlannedSetting{"net.ipv4.conf.all.src_valid_mark", "1", true}));
  EXPECT_THAT(plan.firewall, HasSubstr("reject with icmpx type admin-prohibited"));
  EXPECT_THAT(plan.firewall, HasSubstr("chain passing {\n    type filter hook forward")) << "what this machine forwards, too";
}

TEST(RoutePlan, WithoutTheKillSwitchOthersRoutesCountAndNothingStays) {
  const auto plan = make_route_plan(file(both, "0.0.0.0/0, ::/0"), {.interface = "home", .kill_switch = false});
  const auto place = rule_priorities("home", Reach::everything);
  EXPECT_FALSE(plan.stays);
  EXPECT_THAT(plan.rules,
              Contains(PlannedRule{.family = Family::v4, .priority = place.first, .table = main_table, .suppress_default = true}));
  for (const auto& route : plan.routes) EXPECT_FALSE(route.last_resort);
  EXPECT_THAT(plan.firewall, Not(HasSubstr("chain outside")));
  EXPECT_THAT(plan.firewall, Not(HasSubstr("chain passing {")));
}

TEST(RoutePlan, FullTunnelWithoutIpv6LeavesNoWayToIt) {
  const auto plan = make_route_plan(file("Address = 10.77.0.2/32", "0.0.0.0/0, ::/0"), {.interface = "home"});
  const auto table = own_table("home");
  EXPECT_THAT(plan.rules, Contains(PlannedRule{.family = Family::v6,
                                               .priority = rule_priorities("home", Reach::everything).second,
                                               .table = table,
                                               .mark = table,
                                               .not_mark = true}));
  EXPECT_THAT(plan.routes, ElementsAre(PlannedRoute{*parse_prefix("0.0.0.0/0"), table}, last_resort("0.0.0.0/0", table),
                                       last_resort("::/0", table), findable));
  const auto without = make_route_plan(file("Address = 10.77.0.2/32", "0.0.0.0/0, ::/0"), {.interface = "home", .ipv6 = false});
  for (const auto& rule : without.rules) EXPECT_EQ(rule.family, Family::v4) << "a machine without IPv6";
  EXPECT_THAT(plan.firewall, HasSubstr("chain outside"));
  EXPECT_THAT(plan.notes, IsEmpty());
  EXPECT_THAT(make_route_plan(file("Address = 10.77.0.2/32", "0.0.0.0/0"), {.interface = "home", .kill_switch = false}).notes,
              ElementsAre(HasSubstr("IPv6 goes past the tunnel")));
}

TEST(RoutePlan, TwoHalvesAreAFullTunnel) {
  const auto plan = make_route_plan(file("Address = 10.77.0.2/32", "0.0.0.0/1, 128.0.0.0/1"), {.interface = "home"});
  EXPECT_TRUE(plan.full_tunnel);
  EXPECT_EQ(plan.routes.size(), 5u);
  EXPECT_THAT(plan.routes, Contains(last_resort("::/0", own_table("home"))));
}

TEST(RoutePlan, InboundOnlyLeavesTheRestOutside) {
  const auto plan = make_route_plan(file(both, "0.0.0.0/0, ::/0"), {.interface = "home", .inbound_only = true});
  const auto table = own_table("home");
  const auto place = rule_priorities("home", Reach::selected);
  EXPECT_FALSE(plan.full_tunnel);
  EXPECT_FALSE(plan.kill_switch);
  for (const auto& rule : plan.rules) EXPECT_TRUE(rule.from || rule.to || (rule.mark && !rule.not_mark)) << "this rule catches everything";
  for (const auto& route : plan.routes) EXPECT_TRUE(route.table == table || route == findable) << to_string(route.to);
  EXPECT_THAT(plan.rules,
              Contains(PlannedRule{.family = Family::v6, .priority = place.second, .table = table, .mark = reply_mark("home")}));
  EXPECT_THAT(plan.rules,
              Contains(PlannedRule{.family = Family::v4, .priority = place.first, .table = table, .from = *parse_prefix("10.77.0.2/32")}));
  EXPECT_THAT(plan.firewall, HasSubstr("type route hook output"));
  EXPECT_THAT(plan.firewall, Not(HasSubstr("chain outside")));
  EXPECT_THAT(plan.settings, ElementsAre(PlannedSetting{"net.ipv4.conf.home.rp_filter", "2", false}));
  EXPECT_TRUE(plan.stays);
  for (const auto* family : {"0.0.0.0/0", "::/0"}) EXPECT_THAT(plan.routes, Contains(last_resort(family, table)));
  EXPECT_THAT(plan.firewall, HasSubstr("oifname != { \"lo\", \"home\" } ct direction reply ct mark"));
}

TEST(RoutePlan, EachModeGuardsTheTunnelAddresses) {
  for (const bool inbound_only : {false, true}) {
    const auto plan = make_route_plan(file(both, "0.0.0.0/0"), {.interface = "home", .inbound_only = inbound_only});
    EXPECT_THAT(plan.firewall, HasSubstr("iifname != { \"lo\", \"home\" } ip daddr { 10.77.0.2 } counter drop"));
    EXPECT_THAT(plan.firewall, HasSubstr("iifname != { \"lo\", \"home\" } ip6 daddr { fd77::2 } counter drop"));
    EXPECT_THAT(plan.firewall, HasSubstr("oifname != { \"lo\", \"home\" } ip saddr { 10.77.0.2 } counter drop"));
    EXPECT_THAT(plan.firewall, HasSubstr("oifname != { \"lo\", \"home\" } ip6 saddr { fd77::2 } counter drop"));
  }
}

TEST(RoutePlan, SplitTunnelUsesTheMainTable) {
  const auto plan = make_route_plan(file("Address = 10.77.0.2/24", "10.77.0.0/16, 192.168.7.0/24"), {.interface = "home"});
  EXPECT_THAT(plan.rules, IsEmpty());
  EXPECT_THAT(plan.routes, ElementsAre(PlannedRoute{*parse_prefix("10.77.0.0/16"), main_table},
                                       PlannedRoute{*parse_prefix("192.168.7.0/24"), main_table}, last_resort("10.77.0.0/16", main_table),
                                       last_resort("192.168.7.0/24", main_table)));
  EXPECT_THAT(plan.firewall, HasSubstr("ip daddr @inside4 counter reject"));
  EXPECT_THAT(plan.firewall, Not(HasSubstr("    counter reject"))) << "the rest of the world is free";
}

TEST(RoutePlan, ObeysTableAndMark) {
  EXPECT_THAT(make_route_plan(file("Address = 10.77.0.2\nTable = off", "0.0.0.0/0"), {.interface = "home"}).routes, IsEmpty());
  const auto plan = make_route_plan(file("Address = 10.77.0.2\nTable = 77\nFwMark = 5", "0.0.0.0/0"), {.interface = "home"});
  EXPECT_THAT(plan.routes, ElementsAre(PlannedRoute{Prefix(), 77}));
  EXPECT_THAT(plan.rules, IsEmpty());
  EXPECT_EQ(plan.engine_mark, 5u);
  EXPECT_EQ(plan.table, 0u);
}

TEST(RoutePlan, NeverConfusesItsMarks) {
  for (const char* name : {"home", "drpf0", "wg0", "a", "office-2"}) EXPECT_NE(own_table(name), reply_mark(name));
  EXPECT_NE(own_table("home"), own_table("drpf0"));
}

TEST(RoutePlan, FindsItsOwnRulesAgain) {
  for (const bool inbound_only : {false, true}) {
    for (const auto& rule : make_route_plan(file(both, "0.0.0.0/0, ::/0"), {.interface = "home", .inbound_only = inbound_only}).rules) {
      EXPECT_TRUE(is_own_rule("home", rule));
      EXPECT_FALSE(is_own_rule("office", rule));
    }
  }
  EXPECT_FALSE(is_own_rule("home", PlannedRule{.priority = 32766, .table = main_table}));
  EXPECT_FALSE(is_own_rule("home", PlannedRule{.priority = rule_priorities("home", Reach::everything).first, .table = main_table}));
}

TEST(RoutePlan, SelectiveRulesComeBeforeTheRuleForEverything) {
  for (const char* one : {"home", "wg0", "zz9"}) {
    for (const char* other : {"home", "drpf0", "q"}) {
      EXPECT_LT(rule_priorities(one, Reach::selected).second, rule_priorities(other, Reach::everything).gateway);
      EXPECT_LT(rule_priorities(other, Reach::everything).second, 32766u);
    }
  }
}

TEST(RoutePlan, KnowsTheGatewaysAddress) {
  EXPECT_EQ(gateway_address(file("Address = 10.77.3.9/16", "0.0.0.0/0")), parse_address("10.77.3.1").value());
  EXPECT_EQ(gateway_address(file("Address = fd77::2", "::/0")), std::nullopt);
  EXPECT_EQ(gateway_address(file("Address = 10.77.0.1", "0.0.0.0/0")), std::nullopt);
}

TEST(InterfaceName, ComesFromTheFile) {
  EXPECT_EQ(interface_name_of_file("/etc/wireguard/home.conf").value(), "home");
  EXPECT_EQ(interface_name_of_file("wg-1").value(), "wg-1");
  for (const char* bad : {"/etc/a-name-that-is-too-long.conf", ".conf", "ho me.conf", "a;b.conf", "-x.conf", "lo.conf", "a\"b.conf", "/"}) {
    const auto name = interface_name_of_file(bad);
    ASSERT_FALSE(name) << bad;
    EXPECT_THAT(name.error().cure, HasSubstr("--interface"));
  }
}

}  // namespace
}  // namespace drpf::client
