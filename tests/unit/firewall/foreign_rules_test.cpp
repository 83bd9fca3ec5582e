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
                       PortRange(Port{10000}, Port{31999}),
                       {PortRange(Port{10022})},
                       Port{51820}};

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
  EXPECT_EQ(found[0].effect, Effect::drops_forwarded);
  EXPECT_EQ(found[0].owner, "docker");
  EXPECT_NE(cure_for(found[0], view).find("DOCKER-USER -i drpf0"), std::string::npos);
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
    ::testing::Values(OneRule{forward, "accept", {}}, OneRule{forward, "iifname \"drpf0\" accept", {}},
                      OneRule{forward, "iifname \"drpf0\" drop", Effect::drops_some}, OneRule{forward, "ct state invalid drop", {}},
                      OneRule{forward, "iifname \"docker0\" drop", {}}, OneRule{forward, "ip saddr 192.168.7.0/24 drop", {}},
                      OneRule{forward, "flow add @f", Effect::offloads, true}, OneRule{forward, "iifname \"lan\" flow add @f", {}},
                      OneRule{srcnat, "oifname \"eth0\" masquerade", Effect::rewrites_source},
                      OneRule{early_srcnat, "oifname \"eth0\" masquerade", Effect::rewrites_source, true},
                      OneRule{early_srcnat, "ip saddr 10.77.3.0/24 snat to 203.0.113.9", Effect::rewrites_source, true},
                      OneRule{early_srcnat, "ip saddr { 172.17.0.0/16, 172.18.0.0/16 } masquerade", {}},
                      OneRule{dstnat, "tcp dport 20001 dnat to 172.17.0.2:80", Effect::redirects_visitors},
                      OneRule{early_dstnat, "tcp dport 20001 dnat to 172.17.0.2:80", Effect::redirects_visitors, true},
                      OneRule{early_dstnat, "tcp dport 8080 dnat to 172.17.0.2:80", {}},
                      OneRule{early_dstnat, "tcp dport 10022 redirect to :22", {}},
                      OneRule{early_dstnat, "udp dport { 53, 10000-10005 } redirect to :53", Effect::redirects_visitors, true},
                      OneRule{prerouting, "ct mark set 0x00000001", Effect::marks_connections, true},
                      OneRule{prerouting, "iifname \"lan\" ct mark set 0x00000001", {}},
                      OneRule{prerouting, "meta mark set 0x00000001", Effect::marks_packets},
                      OneRule{prerouting, "meta mark set meta mark | 0x00000001", {}},
                      OneRule{prerouting, "udp dport 20001 notrack", Effect::untracks, true},
                      OneRule{output, "ct mark set 0x00000001", {}}));

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
  EXPECT_EQ(with("\t\tudp dport 51820 accept\n")[0].effect, Effect::drops_input);
  EXPECT_EQ(with("\t\tiifname \"drpf0\" accept\n").size(), 1U);
  EXPECT_TRUE(with("\t\tudp dport { 53, 51820 } accept\n\t\tiifname \"drpf0\" accept\n").empty());
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
