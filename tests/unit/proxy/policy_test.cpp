#include "proxy/policy.h"

#include <gtest/gtest.h>

#include "proxy/target.h"
#include "unit/proxy/golden_table.h"

namespace drpf::proxy {
namespace {

Endpoint to(std::string_view address, std::uint16_t port = 443) { return {*parse_address(address), Port{port}}; }

bool is_refused(const Policy& policy, const Host& host) {
  if (const auto* name = std::get_if<std::string>(&host)) return policy.refuses_name(*name).has_value();
  return policy.refuses({std::get<Address>(host), Port{443}}, false).has_value();
}

TEST(Policy, NoDisguiseOfAPrivateAddressIsLetThrough) {
  const auto rows = rows_of_golden("private_destinations.tsv");
  ASSERT_GE(rows.size(), 70U);
  const Policy policy;
  for (const auto& row : rows) {
    const auto host = parse_host(row[0]);
    if (row[0] == "ip6-localhost") continue;  // the resolver says what it is
    EXPECT_TRUE(!host || is_refused(policy, *host)) << row[0] << ": " << row[1];
  }
}

TEST(Policy, PublicAddressesAre) {
  const Policy policy;
  for (const auto* const address : {"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "192.167.255.255", "223.255.255.255", "2606:4700::1",
                                    "2a00::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"})
    EXPECT_FALSE(policy.refuses(to(address), false)) << address;
}

TEST(Policy, OwnAddressesAreNoDestinationUnlessNamedThemselves) {
  Policy policy;
  EXPECT_TRUE(policy.refuses(to("8.8.8.8"), true));
  policy.reach_private = {*parse_prefix("8.8.8.0/24")};
  EXPECT_TRUE(policy.refuses(to("8.8.8.8"), true));
  policy.reach_private = {*parse_prefix("8.8.8.8")};
  EXPECT_FALSE(policy.refuses(to("8.8.8.8"), true));
}

TEST(Policy, PrivateNetworksAreReachedWhenNamed) {
  Policy policy;
  policy.reach_private = {*parse_prefix("192.168.0.0/16"), *parse_prefix("fd00::/8")};
  EXPECT_FALSE(policy.refuses(to("192.168.9.1"), false));
  EXPECT_FALSE(policy.refuses(to("::ffff:192.168.9.1"), false));
  EXPECT_FALSE(policy.refuses(to("fd00:1::1"), false));
  EXPECT_TRUE(policy.refuses(to("10.0.0.1"), false));
  EXPECT_TRUE(policy.refuses(to("192.168.9.1"), true));
}

// A large prefix opens no loopback, no metadata and no groups.
TEST(Policy, WhatIsWorstIsNamedByItselfOnly) {
  Policy policy;
  policy.reach_private = {*parse_prefix("0.0.0.0/0"), *parse_prefix("::/0")};
  EXPECT_FALSE(policy.refuses(to("10.0.0.1"), false));
  for (const auto* const address : {"127.0.0.1", "169.254.169.254", "::1", "fe80::1", "224.0.0.1", "0.0.0.0", "255.255.255.255", "ff02::1"})
    EXPECT_TRUE(policy.refuses(to(address), false)) << address;
  policy.reach_private = {*parse_prefix("127.0.0.0/8"), *parse_prefix("169.254.169.254")};
  EXPECT_FALSE(policy.refuses(to("127.0.0.1"), true));
  EXPECT_FALSE(policy.refuses_name("localhost"));
  EXPECT_FALSE(policy.refuses(to("169.254.169.254"), false));
  EXPECT_TRUE(policy.refuses(to("169.254.169.253"), false));
}

TEST(Policy, TheProxyIsNotReachedThroughItself) {
  Policy policy;
  policy.reach_private = {*parse_prefix("127.0.0.1")};
  policy.listeners = {to("127.0.0.1", 3128)};
  EXPECT_TRUE(policy.refuses(to("127.0.0.1", 3128), true));
  EXPECT_TRUE(policy.refuses(to("::ffff:127.0.0.1", 3128), true));
  EXPECT_FALSE(policy.refuses(to("127.0.0.1", 3129), true));
}

TEST(Policy, WhichPorts) {
  const Policy policy;
  const auto allows = [&](Way way, std::uint16_t port) { return !policy.refuses_port(way, Port{port}); };
  EXPECT_TRUE(allows(Way::tunnel, 443) && allows(Way::tunnel, 563) && allows(Way::tunnel, 8443));
  EXPECT_FALSE(allows(Way::tunnel, 80) || allows(Way::tunnel, 22) || allows(Way::tunnel, 25) || allows(Way::tunnel, 0));
  EXPECT_TRUE(allows(Way::http, 80) && allows(Way::http, 8080));
  EXPECT_FALSE(allows(Way::http, 25) || allows(Way::http, 22) || allows(Way::http, 110));
  EXPECT_TRUE(allows(Way::socks, 22) && allows(Way::socks, 110) && allows(Way::datagram, 53));
  EXPECT_FALSE(allows(Way::socks, 25) || allows(Way::datagram, 25) || allows(Way::socks, 0));
}

TEST(Policy, WhoMayUseIt) {
  Policy policy;
  EXPECT_FALSE(policy.may_use(*parse_address("127.0.0.1")));
  policy.sources = {*parse_prefix("192.168.7.0/24"), *parse_prefix("fd00::/64")};
  EXPECT_TRUE(policy.may_use(*parse_address("192.168.7.9")));
  EXPECT_TRUE(policy.may_use(*parse_address("::ffff:192.168.7.9")));
  EXPECT_FALSE(policy.may_use(*parse_address("2002:c0a8:0709::1")));  // of 6to4: anybody's
  EXPECT_FALSE(policy.may_use(*parse_address("192.168.8.9")));
}

TEST(Policy, WhereItMayListen) {
  for (const auto* const address : {"127.0.0.1", "192.168.7.1", "10.77.0.1", "::1", "fd00::1"})
    EXPECT_TRUE(is_private_listener(*parse_address(address)));
  for (const auto* const address : {"0.0.0.0", "::", "198.51.100.1", "8.8.8.8", "2a00::1"})
    EXPECT_FALSE(is_private_listener(*parse_address(address)));
}

TEST(Policy, WhatAddressesCarry) {
  const auto carried = [](std::string_view text) { return to_string(carried_address(*parse_address(text))); };
  EXPECT_EQ(carried("::ffff:10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(carried("::ffff:0:10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(carried("::10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(carried("64:ff9b::10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(carried("2002:a00:1::"), "10.0.0.1");
  EXPECT_EQ(carried("2001:0:1:2:3:4:f5ff:fffe"), "10.0.0.1");
  EXPECT_EQ(carried("2a00::200:5efe:a00:1"), "10.0.0.1");
  EXPECT_EQ(carried("::1"), "::1");
  EXPECT_EQ(carried("2a00::1"), "2a00::1");
}

}  // namespace
}  // namespace drpf::proxy
