#include "client/share/lan_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "client/share/share_ruleset.h"

namespace drpf::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Address at(const char* text) { return *parse_address(text); }

LanNetwork two_networks() {
  return {3, {{at("192.168.1.10"), *parse_prefix("192.168.1.0/24")}, {at("10.9.0.1"), *parse_prefix("10.9.0.0/16")}}};
}

TEST(LanNetwork, NeighboursAreTheMachinesOfItsNetworks) {
  const auto lan = two_networks();
  for (const auto* machine : {"192.168.1.1", "192.168.1.254", "10.9.0.2", "10.9.200.0", "10.9.255.254"})
    EXPECT_TRUE(lan.is_neighbour(at(machine))) << machine;
  for (const auto* other : {"192.168.2.1", "192.168.1.0", "192.168.1.255", "10.9.255.255", "203.0.113.9", "fe80::1", "0.0.0.0"})
    EXPECT_FALSE(lan.is_neighbour(at(other))) << other;
  EXPECT_FALSE(lan.is_neighbour(at("192.168.1.10"))) << "this machine itself";
}

TEST(LanNetwork, ALinkOfTwoHasNoBroadcast) {
  const LanNetwork pair{3, {{at("192.0.2.0"), *parse_prefix("192.0.2.0/31")}}};
  EXPECT_TRUE(pair.is_neighbour(at("192.0.2.1")));
  EXPECT_FALSE(pair.is_neighbour(at("192.0.2.0")));
  const LanNetwork four{3, {{at("192.0.2.1"), *parse_prefix("192.0.2.0/30")}}};
  EXPECT_TRUE(four.is_neighbour(at("192.0.2.2")));
  EXPECT_FALSE(four.is_neighbour(at("192.0.2.3")));
}

TEST(LanNetwork, EachNeighbourSeesOurAddressOfItsNetwork) {
  const auto lan = two_networks();
  EXPECT_EQ(lan.own_address(at("192.168.1.20")), at("192.168.1.10"));
  EXPECT_EQ(lan.own_address(at("10.9.3.4")), at("10.9.0.1"));
  EXPECT_EQ(lan.own_address(at("203.0.113.9")), Address{});
  EXPECT_THAT(lan.networks(), ElementsAre(*parse_prefix("192.168.1.0/24"), *parse_prefix("10.9.0.0/16")));
}

TEST(LanNetwork, KnowsWhenTheWayOutsideLeadsThroughIt) {
  const auto lan = two_networks();
  EXPECT_TRUE(lan.has(at("10.9.0.1")));
  EXPECT_FALSE(lan.has(at("10.9.0.2")));
  EXPECT_FALSE(lan.has(std::nullopt));
}

TEST(LanNetwork, IsUsableWhenItIsThereAndHasAnAddress) {
  EXPECT_TRUE(two_networks().is_usable());
  EXPECT_FALSE((LanNetwork{0, two_networks().own}).is_usable());
  EXPECT_FALSE((LanNetwork{3, {}}).is_usable());
}

LanWish wish() {
  LanWish wish;
  wish.tunnel = "home";
  wish.tunnel_v4 = at("10.77.0.2");
  wish.lan = "lan0";
  wish.networks = two_networks().networks();
  return wish;
}

// DRPF_UPDATE_GOLDEN=1 writes the files anew; look at the difference before you believe it.
void expect_golden(const std::string& name, const LanWish& asked) {
  const auto text = share_ruleset(asked);
  const auto path = std::string(DRPF_SOURCE_DIR "/tests/golden/share/") + name;
  if (std::getenv("DRPF_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ostringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_EQ(text, golden.str());
}

TEST(ShareRuleset, OfAMachineThatIsNoRouter) { expect_golden("no_router.nft", wish()); }

TEST(ShareRuleset, OfARouter) {
  auto router = wish();
  router.forwards_already = true;
  expect_golden("router.nft", router);
  EXPECT_THAT(share_ruleset(router), Not(HasSubstr("oifname != "))) << "whose other traffic is its own affair";
}

TEST(ShareRuleset, OfAMachineBehindAnotherRouter) {
  auto hidden = wish();
  hidden.hide_visitors = true;
  hidden.networks.clear();
  expect_golden("hidden_visitors.nft", hidden);
  EXPECT_THAT(share_ruleset(hidden), HasSubstr("masquerade"));
  EXPECT_THAT(share_ruleset(wish()), Not(HasSubstr("masquerade")));
}

TEST(ShareRuleset, NamesAreOfTheTunnel) {
  EXPECT_EQ(share_table_name("home"), "drpf_share_home");
  EXPECT_EQ(share_note_path("/run/x.settings"), "/run/x.settings.share");
}

}  // namespace
}  // namespace drpf::client
