#include "configuration/lab_configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "configuration/configuration_file.h"

namespace drpf::configuration {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

LabNetwork network() {
  LabNetwork lab;
  lab.interface = "eth0";
  lab.public_v4 = *parse_prefix("198.51.100.0/24");
  lab.public_v6 = *parse_prefix("2001:db8:51::/64");
  lab.plan = "lab";
  lab.connections_max = 8000;
  return lab;
}

LabConfiguration made(std::string_view text, const LabNetwork& lab = network()) {
  auto configuration = make_lab_configuration(text, "drpf.toml", lab);
  EXPECT_TRUE(configuration) << configuration.error().message;
  return *configuration;
}

TEST(LabConfiguration, DefaultsGetOneHostOfTheLab) {
  const auto lab = made("");
  ASSERT_EQ(lab.settings.hosts.size(), 1U);
  EXPECT_EQ(lab.settings.hosts[0].name, "main");
  EXPECT_THAT(lab.settings.hosts[0].interfaces, ElementsAre("eth0"));
  EXPECT_EQ(lab.settings.hosts[0].v4, *parse_address("198.51.100.1"));
  EXPECT_EQ(lab.settings.hosts[0].v6, *parse_address("2001:db8:51::1"));
  EXPECT_THAT(lab.remarks, IsEmpty());
}

TEST(LabConfiguration, RangesServicesAndLimitsStay) {
  const auto lab = made(R"(
[tunnel]
interface = "wgx"
ipv4 = "10.99.0.0/20"
ipv6 = "none"
wireguard_port = 4500
[ports]
pool = "20000-29999"
snat = "40000-47999"
ephemeral = "50000-59999"
reserved = ["20022"]
services_tcp = [22, 443]
[leases]
quarantine = "200s"
[[plan]]
name = "family"
ports_max = 3
)");
  const auto given = *parse_configuration("", "");
  EXPECT_EQ(to_string(lab.settings.pool), "20000-29999");
  EXPECT_EQ(to_string(lab.settings.snat), "40000-47999");
  EXPECT_EQ(to_string(lab.settings.ephemeral), "50000-59999");
  EXPECT_EQ(lab.settings.tunnel_interface, "wgx");
  EXPECT_FALSE(lab.settings.tunnel_v6);
  EXPECT_EQ(lab.settings.wireguard_port, Port(4500));
  EXPECT_EQ(lab.settings.quarantine, std::chrono::seconds(200));
  auto limits = given.limits;
  limits.packets_per_lease_per_s = 0;  // the lab tries connections faster than one lease may be visited
  EXPECT_EQ(lab.settings.limits, limits);
  EXPECT_EQ(lab.settings.plans.size(), given.plans.size() + 2);
  EXPECT_EQ(lab.settings.plans.back().name, "lab");
}

TEST(LabConfiguration, AddressesAreReplacedFamilyByFamily) {
  const auto lab = made(R"(
[[host]]
name = "outer"
interfaces = ["ens3", "ens4"]
ipv4 = "9.9.9.9"
[[host]]
name = "other"
ipv6 = "2620:fe::10"
[entry]
ipv4 = "9.9.9.9"
ipv6 = "2620:fe::11"
name = "vpn.example.org"
)");
  ASSERT_EQ(lab.settings.hosts.size(), 2U);
  EXPECT_EQ(lab.settings.hosts[0].v4, *parse_address("198.51.100.1"));
  EXPECT_FALSE(lab.settings.hosts[0].v6);
  EXPECT_FALSE(lab.settings.hosts[1].v4);
  EXPECT_EQ(lab.settings.entry_v4, lab.settings.hosts[0].v4) << "the entry was the first host's address";
  EXPECT_TRUE(lab.settings.entry_v6);
  EXPECT_NE(lab.settings.entry_v6, lab.settings.hosts[1].v6) << "the entry had an address of its own";
  EXPECT_FALSE(lab.settings.endpoint_name);
  EXPECT_THAT(lab.addresses, ::testing::Contains(*lab.settings.entry_v6));
  EXPECT_THAT(lab.text, ::testing::Not(HasSubstr("9.9.9.9")));
}

TEST(LabConfiguration, WithoutIPv6InTheLabThereIsNone) {
  auto lab_network = network();
  lab_network.public_v6.reset();
  const auto lab = made("[entry]\nipv6 = \"2620:fe::11\"\n", lab_network);
  EXPECT_FALSE(lab.settings.hosts[0].v6);
  EXPECT_FALSE(lab.settings.entry_v6);
}

TEST(LabConfiguration, AHigherLimitIsBroughtDownAndSaid) {
  const auto lab = made("[limits]\nconnections_per_device = 50000\napi_body_max = 4096\n");
  EXPECT_EQ(lab.settings.limits.connections_per_device, 8000U);
  EXPECT_EQ(lab.settings.limits.api_body_max, 4096U);
  EXPECT_THAT(lab.remarks, ElementsAre(HasSubstr("50000")));
  EXPECT_EQ(made("[limits]\nconnections_per_device = 100\n").settings.limits.connections_per_device, 100U);
}

TEST(LabConfiguration, ABadFileIsRefusedInTheReadersWords) {
  const auto wrong_value = make_lab_configuration("[ports]\npool = \"many\"\n", "drpf.toml", network());
  ASSERT_FALSE(wrong_value);
  EXPECT_THAT(wrong_value.error().message, AllOf(HasSubstr("drpf.toml:2"), HasSubstr("many")));

  const auto unknown_key = make_lab_configuration("[ports]\npol = \"20000-30000\"\n", "drpf.toml", network());
  ASSERT_FALSE(unknown_key);
  EXPECT_THAT(unknown_key.error().message, AllOf(HasSubstr("drpf.toml:2"), HasSubstr("pol")));
}

TEST(LabConfiguration, APoolOfOnePortIsTaken) { EXPECT_EQ(made("[ports]\npool = 20007\n").settings.pool, PortRange(Port{20007})); }

}  // namespace
}  // namespace drpf::configuration
