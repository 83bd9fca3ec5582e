#include "client/follow/follow_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

FollowedSocket socket(const char* program, Protocol protocol, const char* address, std::uint16_t port) {
  return {program, protocol, *parse_address(address), Port{port}, 0};
}
FollowWish wish(const char* program, std::uint16_t port, bool tcp, bool udp) { return {program, Port{port}, tcp, udp}; }

FollowContext home() {
  FollowContext context;
  context.own = {*parse_address("10.77.0.2"), *parse_address("fd77::2")};
  return context;
}
FollowChoice chosen(const char* rules, const std::vector<FollowedSocket>& sockets) {
  return choose(*parse_follow_rules(rules), sockets, home());
}

TEST(FollowRule, IsANameAndPerhapsPorts) {
  const auto plain = parse_follow_rule("qbittorrent-nox");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->program, "qbittorrent-nox");
  EXPECT_THAT(plain->only, IsEmpty());
  const auto ports = parse_follow_rule("server:27015+27020-27030/udp+!27025");
  ASSERT_TRUE(ports);
  EXPECT_THAT(ports->only, ElementsAre(FollowedPorts{PortRange(Port{27015}), true, true},
                                       FollowedPorts{PortRange(Port{27020}, Port{27030}), false, true}));
  EXPECT_THAT(ports->never, ElementsAre(FollowedPorts{PortRange(Port{27025}), true, true}));
  ASSERT_TRUE(parse_follow_rules("a,b:1,c"));
  EXPECT_EQ(parse_follow_rules("a,b:1,c")->size(), 3U);
}

TEST(FollowRule, RefusesPatternsPathsAndWhatIsNoPort) {
  for (const auto* text :
       {"", "a,,b", ",", "a b", "/usr/bin/a", "a*", "*", "a:", "a:0", "a:65536", "a:2-1", "a:x", "a:1/sctp", "a:1+", "a:!", "a\n", "a@b"})
    EXPECT_FALSE(parse_follow_rules(text)) << text;
}

TEST(FollowChoice, OnlyTheNamesThatWereGiven) {
  const std::vector<FollowedSocket> sockets{socket("java", Protocol::tcp, "0.0.0.0", 25565),
                                            socket("javac", Protocol::tcp, "0.0.0.0", 25566),
                                            socket("Java", Protocol::tcp, "0.0.0.0", 25567)};
  EXPECT_THAT(chosen("java", sockets).wishes, ElementsAre(wish("java", 25565, true, false)));
  EXPECT_THAT(chosen("jav", sockets).wishes, IsEmpty());
}

TEST(FollowChoice, BothProtocolsOfOnePortAreOneWish) {
  EXPECT_THAT(chosen("a", {socket("a", Protocol::tcp, "0.0.0.0", 20001), socket("a", Protocol::udp, "::", 20001),
                           socket("a", Protocol::udp, "0.0.0.0", 20002)})
                  .wishes,
              ElementsAre(wish("a", 20001, true, true), wish("a", 20002, false, true)));
}

TEST(FollowChoice, OnlyWhereTheTunnelLeads) {
  EXPECT_THAT(chosen("a", {socket("a", Protocol::tcp, "127.0.0.1", 1001), socket("a", Protocol::tcp, "::1", 1002),
                           socket("a", Protocol::tcp, "192.168.1.2", 1003), socket("a", Protocol::udp, "239.255.255.250", 1004),
                           socket("a", Protocol::tcp, "10.77.0.2", 1005), socket("a", Protocol::tcp, "fd77::2", 1006),
                           socket("a", Protocol::tcp, "::", 1007)})
                  .wishes,
              ElementsAre(wish("a", 1005, true, false), wish("a", 1006, true, false), wish("a", 1007, true, false)));
}

TEST(FollowChoice, NotWhatIsBoundToAnotherInterface) {
  auto context = home();
  context.interface = 7;
  std::vector<FollowedSocket> sockets{socket("a", Protocol::tcp, "10.77.0.2", 1001), socket("a", Protocol::tcp, "10.77.0.2", 1002),
                                      socket("a", Protocol::tcp, "0.0.0.0", 1003)};
  sockets[0].interface = 7;
  sockets[1].interface = 6;  // the tunnel's number before it went and came back
  sockets[2].interface = 2;
  EXPECT_THAT(choose(*parse_follow_rules("a"), sockets, context).wishes, ElementsAre(wish("a", 1001, true, false)));
}

TEST(FollowChoice, ControlInterfacesOnlyByTheirNumber) {
  const std::vector<FollowedSocket> sockets{socket("a", Protocol::tcp, "::", 8080), socket("a", Protocol::tcp, "::", 6881)};
  EXPECT_THAT(chosen("a", sockets).wishes, ElementsAre(wish("a", 6881, true, false)));
  EXPECT_THAT(chosen("a", sockets).left_closed, ElementsAre(wish("a", 8080, true, false)));
  EXPECT_THAT(chosen("a:8080", sockets).wishes, ElementsAre(wish("a", 8080, true, false)));
  EXPECT_THAT(chosen("a:!8080", sockets).left_closed, IsEmpty());
}

TEST(FollowChoice, UdpSocketsOfPassingUseAreNoServers) {
  const std::vector<FollowedSocket> sockets{socket("a", Protocol::udp, "0.0.0.0", 1900), socket("a", Protocol::udp, "0.0.0.0", 40000),
                                            socket("a", Protocol::udp, "0.0.0.0", 40001), socket("a", Protocol::tcp, "0.0.0.0", 40001),
                                            socket("b", Protocol::tcp, "0.0.0.0", 40000)};
  EXPECT_THAT(chosen("a", sockets).wishes, ElementsAre(wish("a", 40001, true, true)));
  EXPECT_THAT(chosen("a:40000/udp", sockets).wishes, ElementsAre(wish("a", 40000, false, true)));
}

TEST(FollowChoice, WhatIsLeftOutIsLeftOut) {
  const std::vector<FollowedSocket> sockets{socket("a", Protocol::tcp, "::", 5), socket("a", Protocol::udp, "::", 5),
                                            socket("a", Protocol::tcp, "::", 6)};
  EXPECT_THAT(chosen("a:!5/udp", sockets).wishes, ElementsAre(wish("a", 5, true, false), wish("a", 6, true, false)));
  EXPECT_THAT(chosen("a:5-6+!6", sockets).wishes, ElementsAre(wish("a", 5, true, true)));
}

}  // namespace
}  // namespace drpf::client
