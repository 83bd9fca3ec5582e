#include "tunnel/wireguard_devices/device_configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "protocol/wireguard/wg_quick_file.h"

namespace drpf::tunnel::wireguard_devices {
namespace {

using testing::HasSubstr;
using testing::Not;

DeviceConfiguration laptop() {
  DeviceConfiguration configuration;
  configuration.account = "ann";
  configuration.device = "laptop";
  configuration.private_key.emplace();
  configuration.private_key->fill(1);
  configuration.tunnel_v4 = *parse_address("10.77.0.2");
  configuration.tunnel_v6 = *parse_address("fd77::2");
  configuration.gateway_v4 = *parse_address("10.77.0.1");
  configuration.gateway_v6 = *parse_address("fd77::1");
  configuration.gateway_public_key.fill(2);
  configuration.preshared_key.fill(3);
  configuration.endpoint = "vpn.example.org:51820";
  return configuration;
}

std::string golden(const std::string& name) {
  std::ifstream file(DRPF_SOURCE_DIR "/tests/golden/" + name);
  EXPECT_TRUE(file.is_open()) << name;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(DeviceConfiguration, IsACompleteWgQuickFile) {
  auto configuration = laptop();
  configuration.dns = {*parse_address("9.9.9.9"), *parse_address("2620:fe::fe")};
  EXPECT_EQ(to_wg_quick_text(configuration), golden("device_full_tunnel.conf"));
}

TEST(DeviceConfiguration, InboundOnlyBringsItsHooks) {
  auto configuration = laptop();
  configuration.inbound_only = true;
  configuration.dns = {*parse_address("9.9.9.9")};  // names are asked for outside
  EXPECT_EQ(to_wg_quick_text(configuration), golden("device_inbound_only.conf"));
}

TEST(DeviceConfiguration, LeavesOutWhatIsNotThere) {
  auto configuration = laptop();
  configuration.private_key.reset();
  configuration.preshared_key.fill(0);
  configuration.tunnel_v6.reset();
  configuration.inbound_only = true;
  const auto text = to_wg_quick_text(configuration);
  EXPECT_THAT(text, HasSubstr("Address = 10.77.0.2/32\n"));
  EXPECT_THAT(text, HasSubstr("\n# PrivateKey = "));
  EXPECT_THAT(text, Not(HasSubstr("PresharedKey")));
  EXPECT_THAT(text, Not(HasSubstr("ip -6 route")));
  EXPECT_THAT(text, Not(HasSubstr("ip6")));
  EXPECT_THAT(text, Not(HasSubstr("DNS")));
}

TEST(DeviceConfiguration, TwoTunnelsOfOneMachineDoNotShareTheirMark) {
  auto first = laptop();
  auto second = laptop();
  first.inbound_only = second.inbound_only = true;
  second.tunnel_v4 = *parse_address("10.77.1.2");
  EXPECT_THAT(to_wg_quick_text(first), HasSubstr("0x64720002"));
  EXPECT_THAT(to_wg_quick_text(second), Not(HasSubstr("0x64720002")));
}

TEST(DeviceConfiguration, IsUnderstoodByDrpfConnect) {
  auto configuration = laptop();
  auto file = protocol::wireguard::parse_wg_quick_file(to_wg_quick_text(configuration), "laptop.conf");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_FALSE(file->inbound_only);
  configuration.inbound_only = true;
  file = protocol::wireguard::parse_wg_quick_file(to_wg_quick_text(configuration), "laptop.conf");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(file->inbound_only);
}

TEST(EndpointText, AddsThePortWhereItIsMissing) {
  const auto with_port = [](const char* host) { return endpoint_text(host, Port{51820}); };
  EXPECT_EQ(with_port("vpn.example.org"), "vpn.example.org:51820");
  EXPECT_EQ(with_port("vpn.example.org:443"), "vpn.example.org:443");
  EXPECT_EQ(with_port("198.51.100.1"), "198.51.100.1:51820");
  EXPECT_EQ(with_port("198.51.100.1:443"), "198.51.100.1:443");
  EXPECT_EQ(with_port("2001:db8::1"), "[2001:db8::1]:51820");
  EXPECT_EQ(with_port("[2001:db8::1]"), "[2001:db8::1]:51820");
  EXPECT_EQ(with_port("[2001:db8::1]:443"), "[2001:db8::1]:443");
}

}  // namespace
}  // namespace drpf::tunnel::wireguard_devices
