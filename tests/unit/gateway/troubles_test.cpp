// What the gateway does when a part of it fails, and when that is over.
#include "running_gateway.h"

namespace drpf::gateway {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class Troubles : public RunningGateway {};

TEST_F(Troubles, AConnectThatTheStoreDidNotTakeIsMadeUpFor) {
  store_.fail_next();
  connect();
  EXPECT_FALSE(is_connected());
  EXPECT_THAT(redirect_.table, IsEmpty());
  gateway_->tick();
  EXPECT_TRUE(is_connected());
  EXPECT_THAT(redirect_.table, SizeIs(10));
  EXPECT_EQ(said("connected from 203.0.113.9:40000, 10 leases"), 1U);
  const auto admitted = cans_.admitted.size();
  gateway_->tick();
  EXPECT_EQ(cans_.admitted.size(), admitted) << "once";
}

TEST_F(Troubles, WhoGoesBeforeItsConnectWasTakenIsNotConnectedAfterwards) {
  store_.fail_next();
  connect();
  go_away();
  wait(3s);
  EXPECT_FALSE(is_connected());
  store_.fail_next();
  connect();
  ASSERT_TRUE(gateway_->disconnect_device(laptop_));
  wait(3s);
  EXPECT_FALSE(is_connected());
}

TEST_F(Troubles, ADeviceIsNotLetThroughBeforeTheFirewallKnowsWhereItIs) {
  redirect_.refuse_endpoints = true;
  connect();
  EXPECT_FALSE(is_connected());
  EXPECT_THAT(cans_.admitted, IsEmpty());
  EXPECT_EQ(said("a device at 203.0.113.9:40000 is not admitted"), 1U);
  gateway_->on_tunnel_event(cans_, tunnel::DeviceRoamed{laptop_, *parse_endpoint("203.0.113.10:40000")});
  EXPECT_THAT(cans_.admitted, IsEmpty());
  redirect_.refuse_endpoints = false;
  gateway_->tick();
  EXPECT_TRUE(is_connected());
  EXPECT_THAT(cans_.admitted, ElementsAre(std::pair(laptop_, *parse_address("203.0.113.10"))));
}

TEST_F(Troubles, AMoveOfADeviceWhoseConnectIsStillDueConnectsIt) {
  store_.fail_next();
  connect();
  gateway_->on_tunnel_event(cans_, tunnel::DeviceRoamed{laptop_, *parse_endpoint("203.0.113.10:40000")});
  EXPECT_TRUE(is_connected());
  EXPECT_THAT(redirect_.table, SizeIs(10));
}

TEST_F(Troubles, ALeaveThatTheStoreDidNotTakeIsMadeUpFor) {
  connect();
  std::vector<std::string> heard;
  const auto subscription = gateway_->subscribe([&](const api::Change& change) { heard.push_back(change.what); });
  store_.fail_next();
  go_away();
  EXPECT_TRUE(is_connected());
  EXPECT_THAT(heard, IsEmpty()) << "nothing is said that is not committed";
  EXPECT_EQ(said("its ports are closed"), 0U);
  wait(1s);
  EXPECT_FALSE(is_connected());
  EXPECT_THAT(redirect_.table, IsEmpty());
  EXPECT_THAT(cans_.departed, Contains(laptop_));
}

TEST_F(Troubles, ADeviceThatTheHostHasNoAddressForIsLetInWhenItHas) {
  no_address = true;
  const auto added = gateway_->add_device("alice", "phone", {});
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, "no_address");
  EXPECT_THAT(added.error().message, testing::HasSubstr("device phone is kept"));
  const auto phone = gateway_->book().device("phone")->id;
  EXPECT_FALSE(cans_.inside.contains(phone));
  gateway_->tick();
  EXPECT_EQ(said("device phone is still not in the tunnel"), 1U);
  no_address = false;
  gateway_->tick();
  EXPECT_TRUE(cans_.inside.contains(phone));
  EXPECT_EQ(said("still not"), 0U);
}

TEST_F(Troubles, BothAddressesOfADeviceAreItsOwn) {
  const auto& device = *gateway_->book().device(laptop_);
  EXPECT_THAT(cans_.inside.at(laptop_), ElementsAre(Prefix::host(device.tunnel_v4), Prefix::host(*device.tunnel_v6)));
  connect();
  EXPECT_EQ(redirect_.here.at(device.tunnel_v4), "cans0");
  EXPECT_EQ(redirect_.here.at(*device.tunnel_v6), "cans0");
}

TEST_F(Troubles, AStoreThatStaysFullIsLoggedOnceAMinute) {
  const auto fail_again = [this] {
    store_.fail_next();
    EXPECT_FALSE(gateway_->add_account("ben", {}));
  };
  fail_again();
  EXPECT_EQ(said("the store was not written"), 1U);
  clock_.time += 59s;
  fail_again();
  EXPECT_EQ(said("the store was not written"), 0U);
  clock_.time += 1s;
  fail_again();
  EXPECT_EQ(said("the store was not written"), 1U);
  ASSERT_TRUE(gateway_->add_account("ben", {}));
  EXPECT_EQ(said("the store can be written again"), 1U);
  ASSERT_TRUE(gateway_->add_account("carol", {}));
  EXPECT_EQ(said("the store can be written again"), 0U);
  store_.fail_next();
  EXPECT_FALSE(gateway_->add_account("dora", {}));
  EXPECT_EQ(said("the store was not written"), 1U) << "a new trouble, though it is soon after the last";
}

TEST_F(Troubles, AStoreThatTakesChangesAndNothingNewIsNotWellYet) {
  store_.fail_next();
  ASSERT_FALSE(gateway_->add_account("ben", {}));
  store_warning_ = "the disk is nearly full";
  ASSERT_TRUE(gateway_->set_account("alice", {}, true));
  EXPECT_EQ(said("the store can be written again"), 0U);
  EXPECT_THAT(gateway_->status().warnings, ElementsAre("the disk is nearly full"));
}

TEST_F(Troubles, WhatTheAskerGotWrongIsNoTroubleOfTheStore) {
  EXPECT_FALSE(gateway_->add_account("alice", {}));
  EXPECT_THAT(gateway_->status().warnings, IsEmpty());
  EXPECT_EQ(said("store"), 0U);
}

TEST_F(Troubles, AfterASleepTheKernelIsComparedWithTheBook) {
  connect();
  wait(2s);
  const auto lost = redirect_.table;
  redirect_.table.clear();
  clock_.time += Gateway::late_tick;
  gateway_->tick();
  EXPECT_THAT(redirect_.table, IsEmpty()) << "a tick that is a little late is no sleep";
  clock_.time += Gateway::late_tick + 1s;
  gateway_->tick();
  EXPECT_EQ(redirect_.table.size(), lost.size());
  EXPECT_EQ(gateway_->status().repairs, lost.size());
  EXPECT_EQ(said("repaired 10 elements"), 1U);
}

TEST_F(Troubles, WhileTheKernelIsBehindNothingIsSaidToBeSo) {
  connect();
  const auto on = gateway_->book().leases().front()->on;
  redirect_.refuse = true;
  EXPECT_FALSE(gateway_->remove_lease(on, api::Administrator{}));
  EXPECT_EQ(gateway_->book().lease(on), nullptr) << "committed all the same";
  ASSERT_FALSE(gateway_->set_account("alice", {}, {})) << "nothing is to change, but what was changed is not so yet";
  EXPECT_EQ(said("the kernel did not take a change of leases"), 1U);
  redirect_.refuse = false;
  EXPECT_TRUE(gateway_->set_account("alice", {}, {}));
  EXPECT_THAT(redirect_.table, SizeIs(9));
}

TEST_F(Troubles, LeasesThatRanOutUnseenDisconnectTheirDeviceSoThatItConnectsAgain) {
  connect();
  clock_.time += 25h;
  gateway_->tick();
  EXPECT_FALSE(is_connected());
  EXPECT_EQ(said("device laptop is disconnected: its leases ran out"), 1U);
  EXPECT_THAT(cans_.departed, Contains(laptop_));
  EXPECT_THAT(cans_.called, Contains(laptop_));
  connect();
  EXPECT_TRUE(is_connected());
}

TEST_F(Troubles, ADeviceThatIsHeardOfAfterItsTimeWasUpIsCalled) {
  connect();
  tunnel::DeviceStatus heard;
  heard.device = laptop_;
  heard.endpoint = parse_endpoint("203.0.113.9:40000").value();
  heard.last_authenticated = clock_.time;
  cans_.statuses[laptop_] = heard;
  start();  // it has to be heard of again
  cans_.called.clear();
  clock_.time += configuration_.disconnect_after;
  cans_.statuses[laptop_].last_authenticated = clock_.time - 1s;
  gateway_->tick();
  EXPECT_FALSE(is_connected());
  EXPECT_THAT(cans_.called, ElementsAre(laptop_));
  connect();
  start();
  cans_.called.clear();
  cans_.statuses[laptop_].last_authenticated = clock_.time;
  clock_.time += configuration_.disconnect_after;
  gateway_->tick();
  EXPECT_FALSE(is_connected());
  EXPECT_THAT(cans_.called, IsEmpty()) << "who is silent is not there";
}

TEST_F(Troubles, AtAStartConnectedDevicesAreCalledWhereTheyWere) {
  tunnel::DeviceStatus known;
  known.device = laptop_;
  known.endpoint = parse_endpoint("203.0.113.77:40000").value();
  cans_.statuses[laptop_] = known;
  start();
  EXPECT_THAT(cans_.called, IsEmpty()) << "it was not connected";
  connect();
  redirect_.endpoints.clear();
  cans_.admitted.clear();
  start();
  EXPECT_THAT(cans_.called, ElementsAre(laptop_));
  EXPECT_THAT(redirect_.endpoints, ElementsAre(*parse_address("203.0.113.77")));
  EXPECT_THAT(cans_.admitted, ElementsAre(std::pair(laptop_, *parse_address("203.0.113.77"))));
}

TEST_F(Troubles, AddressesOfConnectedDevicesAreKeptInTheFirewall) {
  connect();
  tunnel::DeviceStatus here;
  here.device = laptop_;
  here.endpoint = parse_endpoint("203.0.113.9:40000").value();
  here.last_authenticated = clock_.time;
  cans_.statuses[laptop_] = here;
  gateway_->tick();
  redirect_.endpoints.clear();
  for (int i = 0; i < 119; ++i) {
    clock_.time += 1s;
    cans_.statuses[laptop_].last_authenticated = clock_.time;
    gateway_->tick();
  }
  EXPECT_THAT(redirect_.endpoints, IsEmpty()) << "not with every tick";
  clock_.time += 1s;
  redirect_.refuse_endpoints = true;
  gateway_->tick();
  EXPECT_EQ(said("could not be kept in the firewall"), 1U);
  redirect_.refuse_endpoints = false;
  wait(Gateway::endpoint_refresh);
  EXPECT_THAT(redirect_.endpoints, ElementsAre(*parse_address("203.0.113.9")));
  go_away();
  redirect_.endpoints.clear();
  wait(2 * Gateway::endpoint_refresh);
  EXPECT_THAT(redirect_.endpoints, IsEmpty()) << "of who is away nothing is kept";
}

TEST_F(Troubles, AllConnectedDevicesAreCalledFromANewAddress) {
  ASSERT_TRUE(gateway_->add_device("alice", "phone", {}));
  connect();
  cans_.called.clear();
  gateway_->call_connected_devices();
  EXPECT_THAT(cans_.called, ElementsAre(laptop_));
}

TEST_F(Troubles, ADeviceIsCalledForAnAnswerWhereItsWayInCanBringThatAbout) {
  EXPECT_FALSE(gateway_->call_for_answer(laptop_));
  EXPECT_THAT(cans_.called, IsEmpty());
  cans_.answers_calls = true;
  EXPECT_TRUE(gateway_->call_for_answer(laptop_));
  EXPECT_THAT(cans_.called, ElementsAre(laptop_));
  words_.clear();
  EXPECT_FALSE(gateway_->call_for_answer(laptop_)) << "no way in knows it";
}

TEST_F(Troubles, AGoodByeOfWhoIsAwayIsNoError) {
  EXPECT_TRUE(gateway_->disconnect_device(laptop_));
  connect();
  EXPECT_TRUE(gateway_->disconnect_device(laptop_));
  EXPECT_TRUE(gateway_->disconnect_device(laptop_));
  EXPECT_EQ(said("device laptop said good-bye"), 1U);
}

TEST_F(Troubles, EventsOfUnknownDevicesAreNothing) {
  connect(lease::DeviceId{4711}, "203.0.113.9:40000");
  EXPECT_THAT(redirect_.endpoints, IsEmpty());
  EXPECT_THAT(cans_.admitted, IsEmpty());
}

TEST_F(Troubles, TheHistoryIsWrittenBeforeAndCaughtUpAfterATrouble) {
  EXPECT_EQ(history_.resumed, 1);
  EXPECT_EQ(history_.forgotten_before, clock_.wall_now() - configuration_.history);
  connect();
  ASSERT_THAT(history_.begun_, SizeIs(10));
  EXPECT_EQ(history_.begun_[0].account, "alice");
  EXPECT_EQ(history_.begun_[0].device, "laptop");
  go_away();
  EXPECT_THAT(history_.ended_, SizeIs(10));
  history_.refuse = true;
  connect();
  EXPECT_TRUE(is_connected()) << "no lease is refused for the history";
  EXPECT_EQ(said("the history of leases could not be written"), 1U);
  go_away();
  EXPECT_EQ(said("the history of leases could not be brought up to date"), 1U);
  history_.refuse = false;
  connect();
  EXPECT_EQ(history_.resumed, 2);
  EXPECT_THAT(history_.alive_, SizeIs(10));
  EXPECT_THAT(history_.begun_, SizeIs(10)) << "what it was told as a whole is not told again";
  go_away();
  EXPECT_THAT(history_.ended_, SizeIs(20));
}

TEST_F(Troubles, WhatIsLeftOfAFullDiskIsForTheLeases) {
  store_warning_ = "the disk is nearly full";
  connect();
  EXPECT_THAT(history_.begun_, IsEmpty());
  gateway_->forget_history();
  EXPECT_EQ(history_.resumed, 1);
  store_warning_.reset();
  gateway_->forget_history();
  EXPECT_EQ(history_.resumed, 2);
  EXPECT_THAT(history_.alive_, SizeIs(10));
  store_warning_ = "the disk is nearly full";
  start();
  EXPECT_EQ(history_.resumed, 2);
}

TEST_F(Troubles, AHistoryThatCannotForgetIsToldOf) {
  clock_.time += 1h;
  gateway_->forget_history();
  EXPECT_EQ(history_.forgotten_before, clock_.wall_now() - configuration_.history);
  history_.refuse_to_forget = true;
  gateway_->forget_history();
  EXPECT_EQ(said("could not be forgotten"), 1U);
}

TEST_F(Troubles, AGatewayWithoutAHistoryHasNothingToForget) {
  keeps_history_ = false;
  start();
  connect();
  gateway_->forget_history();
  EXPECT_THAT(history_.begun_, IsEmpty());
  EXPECT_EQ(gateway_->history({}).error().code, "history_off");
}

TEST_F(Troubles, AHistoryThatComesLaterIsBroughtUpToDate) {
  connect();
  NotedHistory later;
  gateway_->keep_history(later);
  EXPECT_THAT(later.alive_, SizeIs(10));
}

TEST_F(Troubles, ASuspendedAccountsNewDevicesAreLetInWithoutAddresses) {
  connect();
  const auto before = cans_.inside.at(laptop_);
  ASSERT_TRUE(gateway_->set_account("alice", {}, true));
  EXPECT_EQ(said("ended: its account was suspended"), 0U) << "what is held is not ended";
  cans_.refuse = true;
  EXPECT_FALSE(gateway_->set_account("alice", {}, false)) << "not so before the tunnel has it";
  cans_.refuse = false;
  gateway_->tick();
  EXPECT_EQ(cans_.inside.at(laptop_), before);
}

TEST_F(Troubles, OfARemovedAccountNoDeviceIsLeft) {
  ASSERT_TRUE(gateway_->add_device("alice", "phone", {}));
  connect();
  store_.fail_next();
  EXPECT_FALSE(gateway_->remove_account("alice"));
  EXPECT_THAT(cans_.inside, SizeIs(2)) << "not while the store has it";
  EXPECT_THAT(words_, SizeIs(2));
  store_.fail_next();
  EXPECT_FALSE(gateway_->remove_device("phone"));
  EXPECT_THAT(words_, SizeIs(2));
  ASSERT_TRUE(gateway_->remove_account("alice"));
  EXPECT_THAT(cans_.inside, IsEmpty());
  EXPECT_THAT(words_, IsEmpty());
  EXPECT_THAT(redirect_.table, IsEmpty());
  wait(2 * Gateway::endpoint_refresh);
  EXPECT_THAT(redirect_.table, IsEmpty());
}

}  // namespace
}  // namespace drpf::gateway
