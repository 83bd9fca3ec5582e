#include "client/connect/tunnel_fences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client::tunnel_fences_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

PortRange ports(std::uint16_t first, std::uint16_t last) { return {Port{first}, Port{last}}; }

TunnelFences fences() {
  TunnelFences out;
  out.interface = "home";
  out.own = {*parse_address("10.77.0.2"), *parse_address("fd12::2")};
  out.gateways = {*parse_address("fd12::1"), *parse_address("10.77.0.1")};
  return out;
}

TEST(TunnelFences, ItsAddressesComeFromThisMachineAlone) {
  const auto text = source_chains(fences());
  EXPECT_THAT(text, HasSubstr("iifname != \"lo\" ip saddr { 10.77.0.2 } counter drop"));
  EXPECT_THAT(text, HasSubstr("iifname != \"lo\" ip6 saddr { fd12::2 } counter drop"));
  EXPECT_THAT(text, HasSubstr("oifname \"home\" ip saddr != { 10.77.0.2 } counter drop"));
  EXPECT_THAT(text, HasSubstr("oifname \"home\" ip6 saddr != { fd12::2 } counter drop"));
  auto only_v4 = fences();
  only_v4.own.pop_back();
  EXPECT_THAT(source_chains(only_v4), HasSubstr("oifname \"home\" meta nfproto ipv6 counter drop"));
}

TEST(TunnelFences, MachinesBehindReachNoDoorOfTheGateway) {
  auto wish = fences();
  EXPECT_THAT(asking_chain(wish), HasSubstr("th dport { 1900, 5351 } counter reject"));
  EXPECT_THAT(asking_chain(wish), HasSubstr("ip daddr { 10.77.0.1 } meta l4proto { tcp, udp } th dport != 53 counter reject"));
  EXPECT_THAT(asking_chain(wish), HasSubstr("ip6 daddr { fd12::1 }"));
  EXPECT_THAT(asking_chain(wish), Not(HasSubstr("iifname")));
  wish.askers = {"docker0", "lan0"};
  EXPECT_THAT(asking_chain(wish), HasSubstr("    iifname { \"docker0\", \"lan0\" } accept\n    ct direction reply accept"));
}

TEST(TunnelFences, OnlyAnswersLeasesAndWhatIsNamedComeOut) {
  auto wish = fences();
  EXPECT_THAT(arrival_chains(wish), HasSubstr("    ct direction reply accept\n"));
  for (const auto* rule : {"ip daddr { 10.77.0.2 } tcp dport @leased_tcp accept", "ip6 daddr { fd12::2 } udp dport @leased_udp accept",
                           "ct status dnat meta l4proto tcp ct original proto-dst @leased_tcp accept", "    counter drop\n  }\n"})
    EXPECT_THAT(arrival_chains(wish), HasSubstr(rule));
  EXPECT_THAT(arrival_chains(wish), Not(HasSubstr("61000-61999"))) << "nothing is shared";
  wish.shared_ports = ports(61000, 61999);
  wish.named = *parse_open_ports("22/tcp,8000-8010");
  EXPECT_THAT(arrival_chains(wish), HasSubstr("ct status dnat meta l4proto { tcp, udp } ct original proto-dst 61000-61999 accept"));
  EXPECT_THAT(arrival_chains(wish), HasSubstr("ip daddr { 10.77.0.2 } tcp dport { 22, 8000-8010 } accept"));
  EXPECT_THAT(arrival_chains(wish), HasSubstr("ip daddr { 10.77.0.2 } udp dport { 8000-8010 } accept"));
  wish.named = *parse_open_ports("all");
  EXPECT_THAT(arrival_chains(wish), IsEmpty());
  EXPECT_THAT(source_chains(wish), Not(HasSubstr("saddr !=")));
}

TEST(TunnelFences, WhatIsLeasedIsASetOfRanges) {
  EXPECT_EQ(leased_sets({}),
            "  set leased_tcp { type inet_service; flags interval; }\n  set leased_udp { type inet_service; flags interval; }\n");
  EXPECT_THAT(leased_sets({{ports(20000, 20004), ports(110, 110)}, {}}),
              HasSubstr("leased_tcp { type inet_service; flags interval; elements = { 20000-20004, 110 }; }"));
}

TEST(OpenPorts, AreReadJoinedAndInOrder) {
  const auto open = parse_open_ports("8011,8000-8010,22/tcp,53/udp");
  ASSERT_TRUE(open);
  EXPECT_THAT(open->tcp, ElementsAre(ports(22, 22), ports(8000, 8011)));
  EXPECT_THAT(open->udp, ElementsAre(ports(53, 53), ports(8000, 8011)));
  EXPECT_FALSE(open->everything);
  EXPECT_TRUE(parse_open_ports("all")->everything);
  EXPECT_THAT(joined({ports(65535, 65535), ports(1, 9), ports(3, 4), ports(10, 11)}), ElementsAre(ports(1, 11), ports(65535, 65535)));
  for (const char* bad : {"", ",", "0", "22,", "22/sctp", "9-8", "65536", "ssh", "22 ", "all,22", "-1"}) {
    const auto refused = parse_open_ports(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_THAT(refused.error().cure, HasSubstr("--let-in 22"));
  }
  std::string many = "1";
  for (int i = 0; i < 100; ++i) many += ",7";
  EXPECT_FALSE(parse_open_ports(many));
}

}  // namespace
}  // namespace drpf::client::tunnel_fences_test
