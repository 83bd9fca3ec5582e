#include "firewall/gateway_ruleset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

namespace drpf::firewall {
namespace {

using testing::HasSubstr;
using testing::Not;

GatewayRuleset dual_stack() {
  GatewayRuleset ruleset;
  ruleset.public_interfaces = {"wan"};
  ruleset.hosts = {{"main", *parse_address("198.51.100.1"), *parse_address("2001:db8:51::1")}};
  ruleset.tunnel_v4 = *parse_prefix("10.77.0.0/16");
  ruleset.tunnel_v6 = *parse_prefix("fd77:6472:7066::/64");
  ruleset.input_tcp = {PortRange(Port{22})};
  return ruleset;
}

// DRPF_UPDATE_GOLDEN=1 writes the files anew; look at the difference before you believe it.
void expect_golden(const std::string& name, const GatewayRuleset& ruleset) {
  const auto text = nft_text(ruleset);
  ASSERT_TRUE(text) << text.error().message;
  const auto path = std::string(DRPF_SOURCE_DIR "/tests/golden/ruleset/") + name;
  if (std::getenv("DRPF_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << *text;
  std::ifstream file(path);
  std::ostringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(*text, golden.str());
}

TEST(GatewayRuleset, DualStack) { expect_golden("dual_stack.nft", dual_stack()); }

TEST(GatewayRuleset, OnlyIpv4) {
  auto ruleset = dual_stack();
  ruleset.hosts[0].v6.reset();
  ruleset.tunnel_v6.reset();
  expect_golden("only_ipv4.nft", ruleset);
}

TEST(GatewayRuleset, OnlyIpv6) {
  auto ruleset = dual_stack();
  ruleset.hosts[0].v4.reset();
  ruleset.tunnel_v4.reset();
  expect_golden("only_ipv6.nft", ruleset);
}

TEST(GatewayRuleset, SeveralInterfacesAndAddressesAndAnEntryOfItsOwn) {
  auto ruleset = dual_stack();
  ruleset.public_interfaces = {"eth0", "eth1.100"};
  ruleset.hosts.push_back({"second", *parse_address("203.0.113.9"), {}});
  ruleset.entry_shares_lease_address = false;
  ruleset.open_networks = {*parse_prefix("10.20.1.0/24"), *parse_prefix("10.20.0.0/16"), *parse_prefix("fd20::/64")};
  ruleset.input_udp = {PortRange(Port{53}), PortRange(Port{60001}, Port{60100})};
  ruleset.new_connections_per_lease_per_s = 50;
  ruleset.proxy.listeners = {*parse_endpoint("10.77.0.1:3128"),   *parse_endpoint("[fd77:6472:7066::1]:3128"),
                             *parse_endpoint("192.168.7.1:3128"), *parse_endpoint("192.168.7.1:1080"),
                             *parse_endpoint("[fd07::1]:3128"),   *parse_endpoint("127.0.0.1:3128")};
  ruleset.proxy.sources = {*parse_prefix("10.77.0.0/16"), *parse_prefix("192.168.7.0/24"), *parse_prefix("192.168.7.128/25"),
                           *parse_prefix("fd07::/64"), *parse_prefix("127.0.0.0/8")};
  expect_golden("several.nft", ruleset);
}

// What is said of the tunnel is said of each, and what comes from none of them has no tunnel address.
TEST(GatewayRuleset, SeveralTunnels) {
  auto ruleset = dual_stack();
  ruleset.tunnel_interfaces = {"drpf0", "drpf1"};
  const auto text = nft_text(ruleset);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_THAT(*text, Not(HasSubstr("iifname \"drpf0\"")));
  EXPECT_THAT(*text, Not(HasSubstr("oifname \"drpf0\"")));
  EXPECT_THAT(*text, HasSubstr("iifname { \"drpf0\", \"drpf1\" } ip saddr . iifname != @here4 counter drop"));
  EXPECT_THAT(*text, HasSubstr("iifname != { \"drpf0\", \"drpf1\", \"lo\" } ip saddr 10.77.0.0/16 counter drop"));
  EXPECT_THAT(*text, HasSubstr("oifname != { \"drpf0\", \"drpf1\", \"lo\" } ip6 daddr fd77:6472:7066::/64 counter drop"));
  EXPECT_THAT(*text, HasSubstr("iifname { \"drpf0\", \"drpf1\" } oifname { \"drpf0\", \"drpf1\" } counter drop"));
  ruleset.tunnel_interfaces = {};
  EXPECT_FALSE(nft_text(ruleset)) << "without a tunnel there is nothing to guard";
}

const ProbeDoor probe{"drpf-probe", *parse_address("192.0.2.77"), *parse_address("2001:db8:6472:7066::77")};

TEST(GatewayRuleset, ADoorForTheGatewaysOwnVisits) {
  auto ruleset = dual_stack();
  ruleset.probe = probe;
  ruleset.new_connections_per_lease_per_s = 50;
  expect_golden("probe.nft", ruleset);
}

// It visits leases as anybody does, and neither counts against their limits nor can be spoken to first.
TEST(GatewayRuleset, TheProbesInterfaceIsPublicWhereVisitsPass) {
  auto ruleset = dual_stack();
  ruleset.new_connections_per_lease_per_s = 50;
  ruleset.probe = probe;
  std::set<std::string> with_probe;
  for (const auto& rule : rules(ruleset))
    if (rule.text.find("drpf-probe") != std::string::npos) with_probe.insert(rule.name);
  EXPECT_THAT(with_probe,
              ::testing::UnorderedElementsAre("probe_source4", "probe_source6", "probe_source_from_outside4", "probe_source_from_outside6",
                                              "probe_input", "tcp_without_syn_reset", "tcp_without_syn", "mark_inbound4", "mark_inbound6",
                                              "redirect4", "redirect6", "inbound_without_lease", "established_inbound",
                                              "established_outbound", "related_outbound4", "related_outbound6", "new_inbound", "options4",
                                              "options6", "multipath_tcp", "multipath_tcp_twice", "precedence4", "precedence6"));
}

TEST(GatewayRuleset, WithoutIpv6InTheTunnelIpv6FromItIsDropped) {
  auto ruleset = dual_stack();
  ruleset.tunnel_v6.reset();
  EXPECT_THAT(*nft_text(ruleset), HasSubstr("iifname \"drpf0\" meta nfproto ipv6 counter drop"));
}

TEST(GatewayRuleset, RuleNamesAreUniqueAndEachCanBeLeftOut) {
  auto ruleset = dual_stack();
  ruleset.new_connections_per_lease_per_s = 1;
  std::set<std::string> names;
  for (const auto& rule : rules(ruleset)) {
    EXPECT_TRUE(names.insert(rule.name).second) << rule.name;
    ruleset.without = {rule.name};
    EXPECT_THAT(*nft_text(ruleset), Not(HasSubstr("comment \"" + rule.name + "\""))) << rule.name;
  }
  EXPECT_GT(names.size(), 50U);
  ruleset.without = {"no_such_rule"};
  EXPECT_FALSE(nft_text(ruleset));
}

TEST(GatewayRuleset, EveryFamilyHasTheSameRules) {
  std::multiset<std::string> v4;
  std::multiset<std::string> v6;
  for (const auto& rule : rules(dual_stack())) {
    if (rule.name.back() == '4') v4.insert(rule.chain + rule.name.substr(0, rule.name.size() - 1));
    if (rule.name.back() == '6') v6.insert(rule.chain + rule.name.substr(0, rule.name.size() - 1));
  }
  EXPECT_EQ(v4, v6);
}

TEST(GatewayRuleset, RefusesWhatMakesNoSense) {
  const auto refused = [](auto change) {
    auto ruleset = dual_stack();
    change(ruleset);
    return !nft_text(ruleset);
  };
  EXPECT_TRUE(refused([](auto& r) { r.public_interfaces = {}; }));
  EXPECT_TRUE(refused([](auto& r) { r.probe = probe, r.public_interfaces = {"drpf-probe"}; }));
  EXPECT_TRUE(refused([](auto& r) { r.probe = probe, r.probe->interface = "a\"b"; }));
  EXPECT_TRUE(refused([](auto& r) { r.probe = probe, r.probe->v4 = r.tunnel_v4->nth(7); }));
  EXPECT_TRUE(refused([](auto& r) { r.probe = probe, r.probe->v6 = r.tunnel_v6->nth(7); }));
  EXPECT_TRUE(refused([](auto& r) { r.public_interfaces = {"wan\" accept #"}; }));
  EXPECT_TRUE(refused([](auto& r) { r.public_interfaces = {"wan*"}; }));
  EXPECT_TRUE(refused([](auto& r) { r.public_interfaces = {"sixteen_letters_"}; }));
  EXPECT_TRUE(refused([](auto& r) { r.public_interfaces = {"wan", "wan"}; }));
  EXPECT_TRUE(refused([](auto& r) { r.tunnel_interfaces = {"wan"}; }));
  EXPECT_TRUE(refused([](auto& r) { r.tunnel_interfaces = {"drpf0", "drpf0"}; }));
  EXPECT_TRUE(refused([](auto& r) { r.tunnel_interfaces = {""}; }));
  EXPECT_TRUE(refused([](auto& r) { r.table = "drpf; flush ruleset"; }));
  EXPECT_TRUE(refused([](auto& r) { r.table = "9table"; }));
  EXPECT_TRUE(refused([](auto& r) { r.tunnel_v4.reset(), r.tunnel_v6.reset(); }));
  EXPECT_TRUE(refused([](auto& r) { r.tunnel_v4 = *parse_prefix("fd00::/8"); }));
  EXPECT_TRUE(refused([](auto& r) { r.tunnel_v4 = *parse_prefix("0.0.0.0/0"); }));
  EXPECT_TRUE(refused([](auto& r) { r.hosts[0].v4 = *parse_address("10.77.3.4"); })) << "a public address inside the tunnel";
  EXPECT_TRUE(refused([](auto& r) { r.hosts[0].v4 = *parse_address("2001:db8::1"); }));
  EXPECT_TRUE(refused([](auto& r) { r.snat = PortRange(Port{31999}, Port{40000}); })) << "the pool meets the source ports";
  EXPECT_TRUE(refused([](auto& r) { r.snat = PortRange(Port{32768}, Port{60999}); })) << "WireGuard's port lies in it";
  EXPECT_TRUE(refused([](auto& r) { r.input_tcp = {PortRange(Port{20000})}; }));
  EXPECT_TRUE(refused([](auto& r) { r.wireguard_port = Port{10000}; }));
  EXPECT_TRUE(refused([](auto& r) { r.connections_per_device = 0; }));
  EXPECT_FALSE(refused([](auto& r) { r.input_tcp = {}; }));
}

}  // namespace
}  // namespace drpf::firewall
