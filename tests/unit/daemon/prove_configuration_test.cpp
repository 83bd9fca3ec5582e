#include "daemon/prove_configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "configuration/configuration.h"
#include "configuration/configuration_file.h"

namespace drpf::daemon {
namespace {

using testing::HasSubstr;

system::Link link(std::string name, std::string kind = {}) {
  system::Link out;
  out.name = std::move(name);
  out.kind = std::move(kind);
  return out;
}

system::InterfaceAddress address(std::string interface, const char* text) {
  system::InterfaceAddress out;
  out.interface = std::move(interface);
  out.address = *parse_address(text);
  return out;
}

HostFacts host() {
  return {{link("lo"), link("eth0"), link("docker0", "bridge"), link("drpf0", "tun"), link("drpf-probe", "tun")},
          {address("lo", "127.0.0.1"), address("eth0", "198.51.100.7"), address("eth0", "2001:db8::7"), address("docker0", "172.17.0.1"),
           address("drpf0", "10.77.0.1")},
          {{Protocol::tcp, Port{65000}}, {Protocol::tcp, Port{20001}}, {Protocol::udp, Port{40000}}},
          false,
          Port{1024},
          [](const std::string& name) { return name == "vpn" || name == "shut-out"; },
          [](const std::string& name) { return name != "shut-out"; }};
}

struct OnThisHost {
  const char* text;
  const char* refused;  // a part of the message; nullptr = good
  Error::Kind kind = Error::Kind::configuration;
};

class ProveConfiguration : public testing::TestWithParam<OnThisHost> {};

TEST_P(ProveConfiguration, FindsWhatTheHostContradicts) {
  const auto configuration = configuration::parse_configuration(GetParam().text, "f");
  ASSERT_TRUE(configuration) << configuration.error().message;
  const auto proven = prove_against(*configuration, host());
  if (GetParam().refused == nullptr) {
    EXPECT_TRUE(proven) << proven.error().message;
    return;
  }
  ASSERT_FALSE(proven);
  EXPECT_THAT(proven.error().message, HasSubstr(GetParam().refused));
  EXPECT_FALSE(proven.error().cure.empty());
  EXPECT_EQ(proven.error().kind, GetParam().kind);
}

constexpr OnThisHost files[] = {
    {"", nullptr},
    {"[[host]]\ninterfaces = [\"eth0\"]\nipv4 = \"198.51.100.7\"", nullptr},
    {"[[host]]\ninterfaces = [\"eth9\"]", "[[host]] interfaces: this machine has no interface 'eth9'", Error::Kind::unavailable},
    {"[[host]]\nipv4 = \"198.51.100.8\"", "[[host]] ipv4: 198.51.100.8 is not an address", Error::Kind::unavailable},
    {"[[host]]\nipv6 = \"2001:db8::8\"", "[[host]] ipv6: 2001:db8::8 is not an address", Error::Kind::unavailable},
    {"[[host]]\ninterfaces = [\"drpf0\"]", "is the tunnel itself"},
    {"[tunnel]\ninterface = \"eth0\"", "[tunnel] interface: 'eth0' is an interface of this machine already"},
    {"[tunnel]\ninterface = \"docker0\"", "[tunnel] interface: 'docker0'"},
    {"[tunnel]\ninterface = \"vpn\"", nullptr},
    {"[tunnel]\nipv4 = \"172.17.0.0/16\"", "[tunnel] ipv4: 172.17.0.1 of docker0 lies inside"},
    {"[tunnel]\nipv6 = \"2001:db8::/64\"", "[tunnel] ipv6: 2001:db8::7 of eth0 lies inside"},
    {"[ports]\nsnat = \"61000-65535\"", "a program of this host that listens on tcp port 65000"},
    {"[ports]\npool = \"20000-20010\"", nullptr},
    {"[ports]\nsnat = \"39000-41000\"", nullptr},
    {"[ports]\nephemeral = \"600-4000\"\nservices_tcp = []", "[ports] ephemeral: the kernel gives no ports below 1024"},
    {"[api]\nport = 65000", "[api] port: a program of this host listens on tcp port 65000"},
    {"[daemon]\nuser = \"nobody-here\"", "[daemon] user: there is no user 'nobody-here'"},
    {"[daemon]\nuser = \"vpn\"", nullptr},
    {"[daemon]\nuser = \"root\"", nullptr},
    {"[daemon]\nuser = \"drpf\"", "[daemon] user: there is no user 'drpf'"},  // unnamed it is used if there is one
    {"[daemon]\n", nullptr},
    {"[daemon]\nuser = \"shut-out\"", "[daemon] user: 'shut-out' may not open /dev/net/tun"},
};
INSTANTIATE_TEST_SUITE_P(Table, ProveConfiguration, testing::ValuesIn(files));

TEST(ProveConfigurationAtAReload, SocketsOfOurOwnGatewayAreNotAnotherPrograms) {
  auto facts = host();
  facts.listeners.push_back({Protocol::tcp, Port{5351}});
  EXPECT_FALSE(prove_against(configuration::default_configuration(), facts));
  facts.running = true;
  EXPECT_TRUE(prove_against(configuration::default_configuration(), facts));
}

TEST(TheTunnelsOwnPrefix, IsMadeOfTheKeyAndAnOlderGatewayKeepsItsOwn) {
  std::array<std::uint8_t, 32> key{1};
  const auto prefix = unnamed_tunnel_v6(key, {});
  EXPECT_EQ(prefix, unnamed_tunnel_v6(key, {})) << "over restarts";
  EXPECT_EQ(prefix.length(), 64U);
  EXPECT_TRUE(parse_prefix("fd00::/8")->contains(prefix));
  EXPECT_NE(prefix, configuration::former_tunnel_v6());
  key[31] = 1;
  EXPECT_NE(prefix, unnamed_tunnel_v6(key, {})) << "another gateway";

  lease::Device device;
  device.tunnel_v4 = *parse_address("10.77.0.2");
  EXPECT_NE(unnamed_tunnel_v6(key, {device}), configuration::former_tunnel_v6());
  device.tunnel_v6 = configuration::former_tunnel_v6().nth(2);
  EXPECT_EQ(unnamed_tunnel_v6(key, {device}), configuration::former_tunnel_v6());
}

}  // namespace
}  // namespace drpf::daemon
