#include "firewall/foreign_rules.h"

#include <gtest/gtest.h>

#include <optional>
#include <ostream>

namespace drpf::firewall {
namespace {

using Effect = ForeignRule::Effect;

const RulesetView view{"inet drpf",
                       "drpf0",
                       {*parse_prefix("10.77.0.0/16"), *parse_prefix("fd77:6472:7066::/64")},
                       {"eth0"},
                       {*parse_address("203.0.113.5"), *parse_address("2001:db8::5")},
                       PortRange(Port{10000}, Port{31999}),
                       {PortRange(Port{10022})}};

// One rule in a base chain of another table.
std::vector<ForeignRule> with_rule(const std::string& head, const std::string& rule) {
  return find_foreign_rules("table inet other {\n\tchain c {\n\t\t" + head + "\n\t\t" + rule + "\n\t}\n}\n", view);
}

struct OneRule {
  const char* head;
  const char* rule;
  std::optional<Effect> effect;  // none = nothing is to be found
  bool grave = false;
};

constexpr const char* prerouting = "type filter hook prerouting priority mangle; policy accept;";
constexpr const char* forward = "type filter hook forward priority filter; policy accept;";
constexpr const char* dstnat = "type nat hook prerouting priority dstnat; policy accept;";
constexpr const char* early_dstnat = "type nat hook prerouting priority dstnat - 10; policy accept;";
constexpr const char* srcnat = "type nat hook postrouting priority srcnat; policy accept;";
constexpr const char* early_srcnat = "type nat hook postrouting priority srcnat - 10; policy accept;";
constexpr const char* output = "type filter hook output priority filter; policy accept;";

TEST(ForeignRules, SeesADroppingForwardChainAndItsOwner) {
  const auto found = find_foreign_rules(R"(table ip filter {
	chain DOCKER-USER {
		return
	}
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
		jump DOCKER-USER
	}
}
)",
                                        view);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].effect, Effect::drops_all);
  EXPECT_EQ(found[0].owner, "docker");
  EXPECT_NE(cure_for(found[0], view).find("iptables -I DOCKER-USER -i drpf0 -o eth0"), std::string::npos);
}

TEST(ForeignRules, SeesAMasqueradeOnlyWhereItTouchesTheTunnel) {
  const auto found = find_foreign_rules(R"(table ip nat {
	chain POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 172.17.0.0/16 oifname != "docker0" counter masquerade
		ip saddr 10.0.0.0/8 masquerade
		oifname "eth0" masquerade
		iifname "wg*" masquerade
		iifname "drpf*" masquerade
	}
}
)",
                                        view);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].text, "ip saddr 10.0.0.0/8 masquerade");
  EXPECT_EQ(found[1].text, "oifname \"eth0\" masquerade");
  EXPECT_EQ(found[2].text, "iifname \"drpf*\" masquerade");
}

TEST(ForeignRules, OursIsNotForeign) {
  EXPECT_TRUE(
      find_foreign_rules("table inet drpf {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n", view)
          .empty());
}

void PrintTo(const OneRule& one, std::ostream* out) { *out << one.head << " " << one.rule; }

class ForeignRulesOneByOne : public ::testing::TestWithParam<OneRule> {};

TEST_P(ForeignRulesOneByOne, AreJudged) {
  const auto& wanted = GetParam();
  const auto found = with_rule(wanted.head, wanted.rule);
  if (!wanted.effect) {
    EXPECT_TRUE(found.empty()) << explain(found[0]);
    return;
  }
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].effect, *wanted.effect) << explain(found[0]);
  EXPECT_EQ(is_grave(found[0]), wanted.grave);
  EXPECT_FALSE(explain(found[0]).empty());
  EXPECT_FALSE(cure_for(found[0], view).empty());
}

INSTANTIATE_TEST_SUITE_P(
    Rules, ForeignRulesOneByOne,
    ::testing::Values(
        OneRule{forward, "accept", {}}, OneRule{forward, "iifname \"drpf0\" accept", {}},
        OneRule{forward, "iifname \"drpf0\" drop", Effect::drops_all, true},
        OneRule{forward, "iifname \"drpf0\" tcp dport 25 drop", Effect::drops_some}, OneRule{forward, "ct state invalid drop", {}},
        OneRule{forward, "iifname \"docker0\" drop", {}}, OneRule{forward, "ip saddr 192.168.7.0/24 drop", {}},
        OneRule{forward, "flow add @f", Effect::offloads, true}, OneRule{forward, "iifname \"lan\" flow add @f", {}},
        OneRule{srcnat, "oifname \"eth0\" masquerade", Effect::rewrites_source},
        OneRule{early_srcnat, "oifname \"eth0\" masquerade", Effect::rewrites_source, true},
        OneRule{early_srcnat, "ip saddr 10.77.3.0/24 snat to 203.0.113.9", Effect::rewrites_source, true},
        OneRule{early_srcnat, "ip saddr { 172.17.0.0/16, 172.18.0.0/16 } masquerade", {}},
        OneRule{dstnat, "tcp dport 20001 dnat to 172.17.0.2:80", Effect::redirects_visitors},
        OneRule{early_dstnat, "tcp dport 20001 dnat to 172.17.0.2:80", Effect::redirects_visitors, true},
        OneRule{early_dstnat, "tcp dport 8080 dnat to 172.17.0.2:80", {}}, OneRule{early_dstnat, "tcp dport 10022 redirect to :22", {}},
        OneRule{early_dstnat, "udp dport { 53, 10000-10005 } redirect to :53", Effect::redirects_visitors, true},
        OneRule{prerouting, "ct mark set 0x00000001", Effect::marks_connections, true},
        OneRule{prerouting, "iifname \"lan\" ct mark set 0x00000001", {}},
        OneRule{prerouting, "meta mark set 0x00000001", Effect::marks_packets},
        OneRule{prerouting, "meta mark set meta mark | 0x00000001", {}},
        OneRule{prerouting, "udp dport 20001 notrack", Effect::untracks, true}, OneRule{output, "ct mark set 0x00000001", {}}));

TEST(ForeignRules, SeesAFlowtableAsItIsListed) {
  const auto found = find_foreign_rules(R"(table inet fast { # handle 3
	flowtable f { # handle 1
		hook ingress priority filter
		devices = { "drpf0", "eth0" }
	}

	chain forward { # handle 2
		type filter hook forward priority filter; policy accept;
		ct state established flow add @f # handle 4
	}
}
)",
                                        view);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].effect, Effect::offloads);
  EXPECT_TRUE(is_grave(found[0]));
  EXPECT_NE(explain(found[0]).find("flowtable"), std::string::npos);
  EXPECT_NE(cure_for(found[0], view).find("nft delete rule inet fast forward handle 4"), std::string::npos);
}

TEST(ForeignRules, ChainsThatAreJumpedToStandWhereTheirCallersStand) {
  const auto found = find_foreign_rules(R"(table inet other {
	chain marks {
		ct mark set 0x00000001
	}
	chain unused {
		ct mark set 0x00000002
	}
	chain c {
		type filter hook prerouting priority mangle; policy accept;
		iifname "eth0" jump marks
	}
}
)",
                                        view);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].chain, "marks");
}

TEST(ForeignRules, ADroppingPolicyThatLetsTheTunnelPassIsNoHarm) {
  const auto with = [](const std::string& rules) {
    return find_foreign_rules(
        "table inet other {\n\tchain c {\n\t\ttype filter hook forward priority filter; policy drop;\n" + rules + "\t}\n}\n", view);
  };
  EXPECT_TRUE(with("\t\tiifname \"drpf0\" accept\n\t\toifname \"drpf0\" accept\n").empty());
  EXPECT_EQ(with("\t\tiifname \"drpf0\" accept\n").size(), 1U);
  EXPECT_EQ(with("\t\tiifname \"drpf0\" tcp dport 80 accept\n\t\toifname \"drpf0\" accept\n").size(), 1U);
}

TEST(ForeignRules, AnInputChainMustLetHandshakesAndTheTunnelIn) {
  const auto with = [](const std::string& rules) {
    return find_foreign_rules(
        "table inet other {\n\tchain c {\n\t\ttype filter hook input priority filter; policy drop;\n" + rules + "\t}\n}\n", view);
  };
  ASSERT_EQ(with("\t\tudp dport 51820 accept\n").size(), 1U);
  EXPECT_EQ(with("\t\tudp dport 51820 accept\n")[0].packets, std::set{OurPacket::Kind::request});
  EXPECT_EQ(with("\t\tiifname \"drpf0\" accept\n").size(), 1U);
  EXPECT_TRUE(with("\t\tudp dport { 53, 51820 } accept\n\t\tiifname \"drpf0\" accept\n").empty());
}

// As firewalld 1.3.3 of Debian 12 has it, without the chains that are empty.
constexpr const char* firewalld = R"(table inet firewalld { # handle 1
	chain filter_PREROUTING { # handle 21
		type filter hook prerouting priority filter + 10; policy accept;
		icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept # handle 54
		meta nfproto ipv6 fib saddr . mark . iif oif missing drop # handle 52
	}

	chain filter_INPUT { # handle 22
		type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept # handle 26
		ct status dnat accept # handle 27
		iifname "lo" accept # handle 28
		ct state invalid drop # handle 29
		jump filter_INPUT_ZONES # handle 33
		reject with icmpx admin-prohibited # handle 34
	}

	chain filter_FORWARD { # handle 23
		type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept # handle 36
		ct status dnat accept # handle 37
		iifname "lo" accept # handle 38
		ct state invalid drop # handle 39
		ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002::/24 } reject with icmpv6 addr-unreachable # handle 58
		jump filter_FORWARD_ZONES # handle 42
		reject with icmpx admin-prohibited # handle 44
	}

	chain filter_INPUT_ZONES { # handle 31
		goto filter_IN_public # handle 130
	}

	chain filter_FORWARD_ZONES { # handle 41
		goto filter_FWD_public # handle 132
	}

	chain filter_IN_public { # handle 59
		tcp dport 22 accept # handle 73
		meta l4proto { icmp, ipv6-icmp } accept # handle 129
		reject with icmpx admin-prohibited # handle 72
	}

	chain filter_FWD_public { # handle 88
		reject with icmpx admin-prohibited # handle 101
	}
}
)";

// "firewall-cmd ...; ..." of a cure, without what it begins with.
std::string commands(const ForeignRule& rule) {
  const auto cure = cure_for(rule, view);
  return cure.substr(cure.find(": ") + 2);
}

TEST(ForeignRules, ARejectAtTheEndOfAnAcceptingChainIsFound) {
  using Kind = OurPacket::Kind;
  const auto found = find_foreign_rules(firewalld, view);
  ASSERT_EQ(found.size(), 2U);
  for (const auto& rule : found) {
    EXPECT_EQ(rule.owner, "firewalld");
    EXPECT_TRUE(is_grave(rule)) << explain(rule);
    EXPECT_EQ(rule.text, "reject with icmpx admin-prohibited");
    EXPECT_TRUE(commands(rule).starts_with("firewall-cmd --permanent ")) << cure_for(rule, view);
    EXPECT_EQ(cure_for(rule, view).find("nft "), std::string::npos) << "firewalld's own wall stays";
  }
  EXPECT_EQ(found[0].packets, (std::set{Kind::handshake, Kind::request}));
  EXPECT_NE(commands(found[0]).find("--zone=public --add-port=51820/udp"), std::string::npos);
  EXPECT_EQ(found[1].packets, std::set{Kind::from_device}) << "visits pass by their redirection, answers by their connection";
  EXPECT_NE(commands(found[1]).find("--policy=drpf-out --add-ingress-zone=drpf"), std::string::npos);
}

TEST(ForeignRules, ACureOfUfwIsUfws) {
  const auto found = find_foreign_rules(R"(table ip filter {
	chain ufw-user-input {
	}
	chain INPUT {
		type filter hook input priority filter; policy drop;
		ct state related,established counter packets 0 bytes 0 accept
		counter packets 0 bytes 0 jump ufw-user-input
	}
	chain ufw-user-forward {
	}
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
		ct state related,established counter packets 0 bytes 0 accept
		counter packets 0 bytes 0 jump ufw-user-forward
	}
}
)",
                                        view);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(commands(found[0]),
            "ufw allow 51820/udp; ufw allow in on drpf0 to any port 5351 proto udp; ufw allow in on drpf0 to any port 5351 proto tcp; "
            "ufw allow in on drpf0 to any port 1900 proto udp");
  EXPECT_EQ(commands(found[1]), "ufw route allow in on drpf0 out on eth0; ufw route allow in on eth0 out on drpf0");
}

// Docker's iptables tables stay as they are when it goes over to nftables, with a policy that drops.
TEST(ForeignRules, OfDockerWithNftablesOnlyWhatIsLeftOfIptablesHarms) {
  constexpr const char* bridges = R"(table ip docker-bridges {
	map filter-forward-in-jumps {
		type ifname : verdict
		elements = { "docker0" : jump filter-forward-in__docker0 }
	}
	chain filter-FORWARD {
		type filter hook forward priority filter; policy accept;
		oifname vmap @filter-forward-in-jumps
	}
	chain filter-forward-in__docker0 {
		ct state established,related counter packets 0 bytes 0 accept
		counter packets 0 bytes 0 drop
	}
	chain raw-PREROUTING {
		type filter hook prerouting priority raw; policy accept;
		ip daddr 172.17.0.2 iifname != "docker0" counter packets 0 bytes 0 drop
	}
}
)";
  EXPECT_TRUE(find_foreign_rules(bridges, view).empty());
  const auto found = find_foreign_rules(std::string(bridges) + R"(table ip filter {
	chain DOCKER-USER {
	}
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
		counter packets 0 bytes 0 jump DOCKER-USER
	}
}
)",
                                        view);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(commands(found[0]), "iptables -I DOCKER-USER -i drpf0 -o eth0 -j ACCEPT; iptables -I DOCKER-USER -i eth0 -o drpf0 -j ACCEPT");
}

TEST(ForeignRules, WhatCannotBeJudgedIsUndecided) {
  const auto found = with_rule(forward, "xt match \"geoip\" counter packets 0 bytes 0 drop");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].effect, Effect::undecided);
  EXPECT_FALSE(is_grave(found[0]));
  EXPECT_EQ(found[0].text, "xt match \"geoip\" counter packets 0 bytes 0 drop");
  EXPECT_TRUE(with_rule(forward, "iifname \"lan\" xt match \"geoip\" drop").empty()) << "whatever it means, it is not about ours";
}

TEST(ForeignRules, EachChainIsAskedAboutThePacketsAsTheyAreThere) {
  EXPECT_EQ(with_rule(prerouting, "ip daddr 203.0.113.5 tcp dport 20000-20100 drop").size(), 1U);
  EXPECT_TRUE(with_rule(forward, "ip daddr 203.0.113.5 drop").empty()) << "there it has its new destination";
  EXPECT_EQ(with_rule(forward, "ip daddr 10.77.0.0/16 ct state new drop").size(), 1U);
  EXPECT_EQ(with_rule(forward, "ip saddr . tcp dport { 10.77.0.0/16 . 25 } drop").size(), 1U);
  EXPECT_EQ(with_rule(output, "udp sport 51820 drop").size(), 1U);
  EXPECT_EQ(with_rule("type filter hook postrouting priority filter; policy accept;", "oifname \"eth0\" ip saddr 10.77.0.0/16 drop").size(),
            1U);
  EXPECT_TRUE(
      with_rule("type filter hook postrouting priority security + 60; policy accept;", "oifname \"eth0\" ip saddr 10.77.0.0/16 drop")
          .empty())
      << "there it has its new source";
}

TEST(ForeignRules, HandlesAndNamesOfProgramsDoNotHideATable) {
  const auto found = find_foreign_rules(R"(table inet other { # progname other # handle 4
	chain c { # handle 1
		type filter hook prerouting priority mangle; policy accept;
		ct mark set 0x00000001 # handle 17
	}
}
)",
                                        view);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].text, "ct mark set 0x00000001");
  EXPECT_NE(cure_for(found[0], view).find("nft delete rule inet other c handle 17"), std::string::npos);
}

TEST(ForeignRules, OursIsThereOrGone) {
  EXPECT_TRUE(has_own_table("table inet drpf { # progname drpf # handle 4\n}\n", view));
  EXPECT_FALSE(has_own_table("table inet drpf2 { # handle 4\n}\n", view));
}

TEST(ForeignRules, EmptyAndOddTextGivesNothing) {
  EXPECT_TRUE(find_foreign_rules("", view).empty());
  EXPECT_TRUE(find_foreign_rules("}\n}\n{\nchain {\nmasquer", view).empty());
}

}  // namespace
}  // namespace drpf::firewall
