#include "configuration/keys.h"

#include <gmock/gmock.h>

namespace drpf::configuration {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ChangedKeys, AreThoseThatDiffer) {
  const auto before = default_configuration();
  EXPECT_THAT(changed_keys(before, before), IsEmpty());
  auto after = before;
  after.pool = PortRange(Port{2000}, Port{2999});
  after.limits.api_body_max = 1;
  after.plans.clear();
  EXPECT_THAT(changed_keys(before, after), ElementsAre("[ports] pool", "[[plan]]", "[limits] api_body_max"));
}

// A configuration that differs in everything names every key once.
TEST(ChangedKeys, NoneIsForgotten) {
  Configuration one;
  Configuration other;
  other.hosts.resize(1);
  other.entry_v4 = other.entry_v6 = Address::v4(1);
  other.endpoint_name = "vpn.example.org";
  other.engine = TunnelEngine::kernel;
  other.tunnel_interface = "drpf1";
  other.tunnel_v4 = Prefix::host(Address::v4(1));
  other.tunnel_v6 = Prefix::host(Address::v4(1));
  other.wireguard_port = other.api_port = Port{1};
  other.mtu = 1;
  other.offload = Offload::none;
  other.crypto_workers = 1;
  other.dns.resize(1);
  other.private_networks.resize(1);
  other.pool = other.snat = other.ephemeral = PortRange(Port{1});
  other.reserved.push_back(PortRange(Port{1}));
  other.input_tcp.resize(1);
  other.input_udp.resize(1);
  other.plans.resize(1);
  other.default_plan = "";
  other.grace = other.history = other.quarantine = other.disconnect_after = other.audit_every = std::chrono::seconds(1);
  other.upnp = false;
  other.changes_may_end_leases = true;
  other.proxy.listen.resize(1);
  other.proxy.allow.resize(1);
  other.proxy.reach_private.resize(1);
  other.proxy.connect_ports.resize(1);
  other.proxy.udp = true;
  other.proxy.bind_on = Address::v4(1);
  other.proxy.access_log = "";
  other.proxy.answer_timeout = std::chrono::seconds(1);
  other.limits = {1, 1, 1, 1, 1, 1, 1, 1};
  other.user = "root";
  EXPECT_EQ(changed_keys(one, other).size(), 47U);
}

}  // namespace
}  // namespace drpf::configuration
