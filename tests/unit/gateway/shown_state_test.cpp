// What operators and devices are shown of a gateway.
#include "running_gateway.h"

namespace drpf::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class ShownState : public RunningGateway {};

TEST_F(ShownState, StatusCountsAccountsDevicesAndLeases) {
  ASSERT_TRUE(gateway_->add_account("ben", {}));
  ASSERT_TRUE(gateway_->add_device("ben", "tower", {}));
  connect();
  lease::LeaseRequest request;
  request.device = gateway_->book().device("tower")->id;
  request.by_administrator = true;
  ASSERT_TRUE(gateway_->add_lease(request));
  clock_.time += 90s;
  const auto status = gateway_->status();
  EXPECT_EQ(status.version, DRPF_VERSION);
  EXPECT_EQ(status.uptime_s, 90U);
  EXPECT_EQ(status.accounts, 2U);
  EXPECT_EQ(status.devices, 2U);
  EXPECT_EQ(status.devices_connected, 1U);
  EXPECT_EQ(status.leases_active, 10U) << "five ports, TCP and UDP";
  EXPECT_EQ(status.leases_held, gateway_->book().leases().size() - 10U);
  EXPECT_GT(status.leases_held, 0U);
  EXPECT_EQ(status.ports_free, configuration_.pool.size() - 6U) << "five of alice and one of ben";
  EXPECT_EQ(status.ports_resting, 0U);
  EXPECT_EQ(status.engine, "a tight string");
  EXPECT_EQ(status.tunnel_interface, configuration_.tunnel_interface);
  EXPECT_EQ(status.wireguard_port, configuration_.wireguard_port);
  EXPECT_EQ(status.pool, configuration_.pool);
  ASSERT_THAT(status.hosts, SizeIs(1));
  ASSERT_THAT(status.ways_in, SizeIs(1));
  EXPECT_EQ(status.ways_in[0].devices_connected, 1U);
  EXPECT_THAT(status.warnings, IsEmpty());
}

TEST_F(ShownState, WhatRestsIsNotFree) {
  connect();
  ASSERT_TRUE(gateway_->remove_device("laptop"));
  EXPECT_EQ(gateway_->status().ports_free, configuration_.pool.size() - 5U);
  EXPECT_EQ(gateway_->status().ports_resting, 5U);
}

TEST_F(ShownState, EveryHostHasThePortsOfThePool) {
  hosts_.push_back({{"second", *parse_address("198.51.100.2"), {}}, {"wan"}});
  start();
  EXPECT_EQ(gateway_->status().ports_free, 2U * configuration_.pool.size());
}

TEST_F(ShownState, WarningsOfEachKindAreShownAndEnd) {
  store_warning_ = "the disk is nearly full";
  EXPECT_THAT(gateway_->status().warnings, ElementsAre("the disk is nearly full"));
  store_warning_.reset();
  gateway_->set_condition("table", "the connection table is nearly full");
  gateway_->set_condition("clock", "the clock went back");
  EXPECT_THAT(gateway_->status().warnings, ElementsAre("the clock went back", "the connection table is nearly full"));
  gateway_->set_condition("clock", {});
  EXPECT_THAT(gateway_->status().warnings, ElementsAre("the connection table is nearly full"));
  gateway_->set_condition("table", {});

  api::RepairReport repaired;
  repaired.last = "the rule set";
  gateway_->set_repair_report([&] { return repaired; });
  EXPECT_THAT(gateway_->status().warnings, IsEmpty());
  EXPECT_EQ(gateway_->status().repaired.last, "the rule set");
  repaired.alarm = true;
  gateway_->set_condition("clock", "the clock went back");
  ASSERT_THAT(gateway_->status().warnings, SizeIs(2));
  EXPECT_THAT(gateway_->status().warnings[0], HasSubstr("works against the gateway;")) << "the worst is first, and nobody is suspected";
  repaired.last_culprit = "docker";
  EXPECT_THAT(gateway_->status().warnings[0], HasSubstr("works against the gateway, last docker;"));
}

TEST_F(ShownState, TheStoresTroubleSaysWhatToDo) {
  store_.fail_next();
  ASSERT_FALSE(gateway_->add_account("ben", {}));
  store_warning_ = "the disk is nearly full";
  ASSERT_THAT(gateway_->status().warnings, SizeIs(1)) << "one trouble of the store is enough";
  EXPECT_THAT(gateway_->status().warnings[0], HasSubstr("the store cannot be written: "));
}

TEST_F(ShownState, ADeviceConfigurationHasAllThatTheDeviceNeeds) {
  configuration_.dns = {*parse_address("9.9.9.9")};
  start();
  ASSERT_TRUE(gateway_->device_config("laptop", {}));
  const auto& device = *gateway_->book().device(laptop_);
  const auto& card = cans_.card_shown;
  EXPECT_EQ(card.account_name, "alice");
  EXPECT_EQ(card.device_name, "laptop");
  EXPECT_EQ(card.tunnel_v4, device.tunnel_v4);
  EXPECT_EQ(card.tunnel_v6, device.tunnel_v6);
  EXPECT_EQ(card.gateway_v4, configuration::gateway_address_for(device.tunnel_v4));
  EXPECT_EQ(card.gateway_v6, configuration_.tunnel_v6->nth(1));
  EXPECT_EQ(card.dns, configuration_.dns);
  EXPECT_FALSE(card.inbound_only);
  ASSERT_TRUE(gateway_->device_config("laptop", {.inbound_only = true, .endpoint = {}}));
  EXPECT_TRUE(cans_.card_shown.inbound_only);
}

TEST_F(ShownState, WhereADeviceConnectsToIsTheFirstThatIsKnown) {
  const auto host = [this](const api::DeviceConfigOptions& options) {
    EXPECT_TRUE(gateway_->device_config("laptop", options));
    return cans_.card_shown.host;
  };
  EXPECT_EQ(host({}), "198.51.100.1");
  configuration_.entry_v6 = parse_address("2001:db8::5").value();
  start();
  EXPECT_EQ(host({}), "2001:db8::5");
  configuration_.entry_v4 = parse_address("198.51.100.5").value();
  start();
  EXPECT_EQ(host({}), "198.51.100.5");
  configuration_.endpoint_name = "vpn.example.org";
  start();
  EXPECT_EQ(host({}), "vpn.example.org");
  EXPECT_EQ(host({.inbound_only = false, .endpoint = "here.example.org:5000"}), "here.example.org:5000");
}

TEST_F(ShownState, AHostOfIpv6AloneIsConnectedToByIt) {
  hosts_ = {{{"main", {}, *parse_address("2001:db8::1")}, {"wan"}}};
  start();
  ASSERT_TRUE(gateway_->device_config("laptop", {}));
  EXPECT_EQ(cans_.card_shown.host, "2001:db8::1");
}

TEST_F(ShownState, ADeviceWithoutCredentialsHasNoConfigurationAndNoTunnel) {
  words_.clear();
  const auto refused = gateway_->device_config("laptop", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "device_unknown");
  EXPECT_FALSE(gateway_->device_tunnel(laptop_));
  EXPECT_EQ(gateway_->disconnect_device(laptop_).error().code, "device_unknown");
}

TEST_F(ShownState, TheTunnelOfADeviceIsWhatItsWayInSays) {
  tunnel::DeviceStatus status;
  status.device = laptop_;
  status.endpoint = parse_endpoint("203.0.113.9:40000").value();
  status.last_handshake = clock_.wall_now();
  status.bytes_received = 11;
  status.bytes_sent = 22;
  cans_.statuses[laptop_] = status;
  const auto shown = gateway_->device_tunnel(laptop_);
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->endpoint, status.endpoint);
  EXPECT_EQ(shown->last_handshake, status.last_handshake);
  EXPECT_EQ(shown->bytes_received, 11U);
  EXPECT_EQ(shown->bytes_sent, 22U);
}

TEST_F(ShownState, WhoIsUnknownIsNamed) {
  EXPECT_EQ(gateway_->remove_account("nobody").error().code, "account_unknown");
  EXPECT_EQ(gateway_->set_account("nobody", {}, true).error().code, "account_unknown");
  EXPECT_EQ(gateway_->add_device("nobody", "phone", {}).error().code, "account_unknown");
  EXPECT_EQ(gateway_->remove_device("nothing").error().code, "device_unknown");
  EXPECT_FALSE(gateway_->set_account("alice", "no such plan", {}));
  EXPECT_FALSE(gateway_->add_account("ben", "no such plan"));
  EXPECT_EQ(gateway_->device_config("nothing", {}).error().code, "device_unknown");
  EXPECT_THAT(gateway_->remove_device("nothing").error().message, HasSubstr("nothing"));
}

TEST_F(ShownState, WhatThisGatewayCannotDoItSays) {
  EXPECT_EQ(gateway_->backup().error().code, "backup_unsupported");
  std::optional<Error> error;
  gateway_->test_lease({}, [&](const auto& tested) {
    if (!tested) error = tested.error();
  });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, "doctor_unavailable");
}

TEST_F(ShownState, WhatItCanDoItDoes) {
  backup_ = [] { return Bytes{1, 2, 3}; };
  start();
  EXPECT_EQ(gateway_->backup().value(), (Bytes{1, 2, 3}));
  bool asked = false;
  gateway_->set_port_doctor([&](const api::LeaseTest&, auto) { asked = true; });
  gateway_->test_lease({}, [](const auto&) {});
  EXPECT_TRUE(asked);
  EXPECT_THAT(gateway_->check(), SizeIs(2));
  EXPECT_THAT(gateway_->history({}).value(), SizeIs(3));
}

TEST_F(ShownState, TimesAreToldByTheWallClock) {
  EXPECT_EQ(gateway_->wall(clock_.time + 5s), clock_.wall_now() + 5s);
  EXPECT_EQ(gateway_->wall(clock_.time - 5s), clock_.wall_now() - 5s);
}

TEST_F(ShownState, ListenersHearOfWhatChangesForThem) {
  std::vector<std::string> heard;
  auto first = gateway_->subscribe(
      [&](const api::Change& change) { heard.push_back(change.what + (change.device == laptop_ ? " of laptop" : "")); });
  ASSERT_TRUE(gateway_->add_account("ben", {}));
  EXPECT_THAT(heard, ElementsAre("account"));
  heard.clear();
  connect();
  EXPECT_THAT(heard, ElementsAre("leases of laptop", "connected of laptop"));
  heard.clear();
  gateway_->on_tunnel_event(cans_, tunnel::DeviceRoamed{laptop_, *parse_endpoint("203.0.113.10:1")});
  EXPECT_THAT(heard, ElementsAre("roamed of laptop"));
  heard.clear();
  ASSERT_TRUE(gateway_->set_lease(gateway_->book().leases().front()->on, Port{8080}));
  EXPECT_THAT(heard, ElementsAre("leases of laptop"));
  heard.clear();
  ASSERT_TRUE(gateway_->remove_lease(gateway_->book().leases().front()->on, api::Administrator{}));
  EXPECT_THAT(heard, ElementsAre("leases of laptop"));
  heard.clear();
  go_away();
  EXPECT_THAT(heard, ElementsAre("leases of laptop", "disconnected of laptop"));
  heard.clear();
  ASSERT_TRUE(gateway_->remove_device("laptop"));
  EXPECT_THAT(heard, ElementsAre("leases of laptop"));
}

TEST_F(ShownState, ListenersHearOfANewConfiguration) {
  std::vector<std::string> heard;
  const auto subscription = gateway_->subscribe([&](const api::Change& change) { heard.push_back(change.what); });
  ASSERT_TRUE(gateway_->reconfigure(configuration_, configuration::make_policy(configuration_, hosts_, {})));
  EXPECT_THAT(heard, ElementsAre("configuration"));
}

TEST_F(ShownState, AListenerMayLeaveWhileItIsCalledAndTakeAnotherWithIt) {
  int heard = 0;
  std::unique_ptr<api::Service::Subscription> second;
  auto first = gateway_->subscribe([&](const api::Change&) {
    ++heard;
    second.reset();
  });
  second = gateway_->subscribe([&](const api::Change&) { heard += 100; });
  ASSERT_TRUE(gateway_->add_account("ben", {}));
  EXPECT_EQ(heard, 1);
}

}  // namespace
}  // namespace drpf::gateway
