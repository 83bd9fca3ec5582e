#include "client/connect/other_tunnels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using testing::HasSubstr;

RoutePlan plan_for(bool inbound_only) {
  const auto file = protocol::wireguard::parse_wg_quick_file(
      "[Interface]\nPrivateKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAddress = 10.77.0.2/32, fd77::2/128\n[Peer]\n"
      "PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nEndpoint = 198.51.100.1:51820\nAllowedIPs = 0.0.0.0/0, ::/0\n",
      "t.conf");
  EXPECT_TRUE(file);
  return make_route_plan(*file, {.interface = "office", .inbound_only = inbound_only});
}

OtherTunnel other_tunnel(const char* address, bool is_connect, bool takes_everything) {
  return {"home", {*parse_address(address)}, is_connect, takes_everything};
}

TEST(OtherTunnels, OneAddressCannotBeOfTwo) {
  for (const auto* address : {"10.77.0.2", "fd77::2"}) {
    const auto refused = check_beside(plan_for(true), {other_tunnel(address, false, false)});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "address_in_use");
    EXPECT_THAT(refused.error().message, HasSubstr(std::string(address) + " is the address of home already"));
    EXPECT_THAT(refused.error().cure, HasSubstr(*parse_address(address) == *parse_address("fd77::2") ? "[tunnel] ipv6" : "[tunnel] ipv4"));
  }
}

TEST(OtherTunnels, OnlyOneCarriesEverything) {
  const auto refused = check_beside(plan_for(false), {other_tunnel("10.78.0.2", true, true)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "full_tunnel_in_use");
  EXPECT_THAT(refused.error().cure, HasSubstr("--inbound-only"));
  EXPECT_TRUE(check_beside(plan_for(true), {other_tunnel("10.78.0.2", true, true)})) << "answers to visitors go beside it";
  EXPECT_TRUE(check_beside(plan_for(false), {other_tunnel("10.78.0.2", true, false)}));
}

}  // namespace
}  // namespace drpf::client
