#include "firewall/closed_networks.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace drpf::firewall {
namespace {

bool is_closed(const char* text) {
  const auto address = *parse_address(text);
  const auto networks = closed_networks(address.family());
  return std::any_of(networks.begin(), networks.end(), [&](const Prefix& one) { return one.contains(address); });
}

TEST(ClosedNetworks, HoldWhereCloudsTellSecretsAndWhatIsPrivate) {
  for (const auto* address : {"169.254.169.254",
                              "169.254.170.2",
                              "100.100.100.200",
                              "192.0.0.192",
                              "168.63.129.16",
                              "fd00:ec2::254",
                              "fd20:ce::254",
                              "10.0.0.1",
                              "100.64.0.1",
                              "127.0.0.1",
                              "172.31.255.255",
                              "192.168.0.1",
                              "0.0.0.0",
                              "255.255.255.255",
                              "224.0.0.1",
                              "::1",
                              "::",
                              "::7f00:1",
                              "::ffff:10.0.0.1",
                              "fe80::a9fe:a9fe",
                              "fc00::1",
                              "ff02::1",
                              "64:ff9b::a9fe:a9fe",
                              "64:ff9b::a00:1"})
    EXPECT_TRUE(is_closed(address)) << address;
}

TEST(ClosedNetworks, LeaveTheInternetOpen) {
  for (const auto* address : {"9.9.9.9", "11.0.0.1", "100.128.0.1", "168.63.129.17", "172.32.0.1", "192.0.1.1", "192.169.0.1",
                              "223.255.255.255", "2001:db8::1", "2620:fe::fe", "64:ff9b::909:909", "2a00::1"})
    EXPECT_FALSE(is_closed(address)) << address;
}

TEST(ClosedNetworks, OfTwoThatOverlapTheLargerStands) {
  EXPECT_THAT(
      outermost({*parse_prefix("10.1.0.0/16"), *parse_prefix("10.0.0.0/8"), *parse_prefix("10.0.0.0/8"), *parse_prefix("fc00::/7")}),
      testing::ElementsAre(*parse_prefix("fc00::/7"), *parse_prefix("10.0.0.0/8")));
  for (const auto family : {Family::v4, Family::v6}) EXPECT_EQ(outermost(closed_networks(family)).size(), closed_networks(family).size());
}

}  // namespace
}  // namespace drpf::firewall
