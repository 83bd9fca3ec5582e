#include "firewall/foreign_rules.h"

#include <gtest/gtest.h>

namespace drpf::firewall {
namespace {

using Effect = ForeignRule::Effect;

const RulesetView view{"inet drpf", "drpf0", {*parse_prefix("10.77.0.0/16"), *parse_prefix("fd77:6472:7066::/64")}};

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
  EXPECT_NE(cure_for(found[0], view, Port{51820}).find("DOCKER-USER -i drpf0"), std::string::npos);
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

TEST(ForeignRules, EmptyAndOddTextGivesNothing) {
  EXPECT_TRUE(find_foreign_rules("", view).empty());
  EXPECT_TRUE(find_foreign_rules("}\n}\n{\nchain {\nmasquer", view).empty());
}

}  // namespace
}  // namespace drpf::firewall
