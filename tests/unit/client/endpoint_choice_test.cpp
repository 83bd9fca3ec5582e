#include "client/connect/endpoint_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client::endpoint_choice_test {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

RoutePlan plan(const std::string& allowed, bool inbound_only = false) {
  const auto file = protocol::wireguard::parse_wg_quick_file(
      "[Interface]\nPrivateKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAddress = 10.77.0.2, fd12::2\n"
      "[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nEndpoint = vpn.example:51820\nAllowedIPs = " +
          allowed + "\n",
      "t.conf");
  EXPECT_TRUE(file);
  return make_route_plan(*file, {.interface = "home", .inbound_only = inbound_only});
}
Endpoint at(const char* text) { return {*parse_address(text), Port{51820}}; }
const protocol::wireguard::PeerHost name{"vpn.example", Port{51820}};
const std::vector<Address> own{*parse_address("192.168.1.2"), *parse_address("2001:db8::2")};

TEST(EndpointChoice, WhatNoGatewayCanHaveIsPassedOver) {
  for (const bool inbound_only : {false, true}) {
    const auto everything = plan("0.0.0.0/0, ::/0", inbound_only);
    for (const auto* bad : {"0.0.0.0", "::", "127.0.0.1", "::1", "224.0.0.1", "ff02::1", "255.255.255.255", "fe80::1", "10.77.0.2",
                            "fd12::2", "10.77.0.1", "192.168.1.2", "2001:db8::2"}) {
      const auto refused = usable_endpoints(name, {at(bad)}, everything, own);
      ASSERT_FALSE(refused) << bad;
      EXPECT_THAT(refused.error().message, HasSubstr(std::string("vpn.example leads to ") + bad));
      const auto rest = usable_endpoints(name, {at(bad), at("198.51.100.1")}, everything, own);
      ASSERT_TRUE(rest) << bad;
      EXPECT_EQ(rest->front(), at("198.51.100.1"));
    }
  }
}

TEST(EndpointChoice, NetworksOfASplitTunnelDoNotHoldIt) {
  const auto refused = usable_endpoints(name, {at("198.51.100.1")}, plan("198.51.100.0/24"), own);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("AllowedIPs lead 198.51.100.0/24 into the tunnel"));
  EXPECT_TRUE(usable_endpoints(name, {at("203.0.113.1")}, plan("198.51.100.0/24"), own));
}

TEST(EndpointChoice, AFileMayNameAProgramOfThisMachine) {
  EXPECT_TRUE(usable_endpoints({"127.0.0.1", Port{51820}}, {at("127.0.0.1")}, plan("0.0.0.0/0"), own));
  EXPECT_FALSE(usable_endpoints({"0.0.0.0", Port{51820}}, {at("0.0.0.0")}, plan("0.0.0.0/0"), own));
}

TEST(EndpointChoice, OfManyAddressesTheFirstAreTried) {
  std::vector<Endpoint> many;
  for (std::uint32_t i = 0; i < 200; ++i) many.push_back({Address::v4(0xc6336400 + i), Port{51820}});
  EXPECT_THAT(usable_endpoints(name, many, plan("0.0.0.0/0"), own).value_or(std::vector<Endpoint>{}), SizeIs(endpoints_max));
  EXPECT_FALSE(usable_endpoints(name, {}, plan("0.0.0.0/0"), own));
}

}  // namespace
}  // namespace drpf::client::endpoint_choice_test
