#include "gateway/gateway.h"

#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <sstream>

#include "configuration/policy.h"
#include "core/encoding.h"
#include "gateway/port_mappings.h"
#include "protocol/wireguard/tai64n.h"
#include "support/fake_clock.h"
#include "support/fake_redirect.h"
#include "support/fake_tunnel.h"
#include "support/memory_store.h"
#include "tunnel/wireguard_devices/wireguard_way_in.h"

namespace drpf::gateway {
namespace {

using namespace std::chrono_literals;
using tunnel::wireguard_devices::WireGuardWayIn;

// A gateway on fakes; restart() throws the process away and keeps what a crash leaves: the store and the kernel's table.
class GatewayTest : public ::testing::Test {
 protected:
  void SetUp() override { restart(); }

  void restart() {
    gateway_.reset();
    const auto policy = configuration::make_policy(configuration_, {{{"main", *parse_address("198.51.100.1"), {}}, {"wan"}}}, {});
    auto book = load_book(store_, policy, {"boot-1", clock_.now(), clock_.wall_now()}, OnLosses::refuse, *log_);
    ASSERT_TRUE(book) << book.error().message;
    ASSERT_TRUE(redirect_.reconcile(book->redirections(), clock_.now()));
    const auto identity = store_.load_wireguard_identity()->value_or(store::WireGuardIdentity{});
    auto way_in = WireGuardWayIn::open(WireGuardWayIn::Settings{}, identity, {store_, clock_, random_, log_});
    ASSERT_TRUE(way_in) << way_in.error().message;
    way_in_ = std::move(*way_in);
    auto tunnel = std::make_unique<tests::FakeTunnel>();
    tunnel_ = tunnel.get();
    way_in_->carried_by(std::move(tunnel));
    auto opened = Gateway::open(configuration_, std::move(*book),
                                Parts{store_,
                                      redirect_,
                                      {way_in_.get()},
                                      clock_,
                                      log_,
                                      "boot-1",
                                      [] { return std::vector<api::Finding>{}; },
                                      [](const lease::Device&) { return Status{}; }});
    ASSERT_TRUE(opened) << opened.error().message;
    gateway_ = std::move(*opened);
  }

  void add_device(std::string_view account, std::string_view device) {
    if (gateway_->book().account(account) == nullptr) {
      ASSERT_TRUE(gateway_->add_account(account, {}));
    }
    ASSERT_TRUE(gateway_->add_device(account, device, {}));
  }
  lease::DeviceId id(std::string_view device) { return gateway_->book().device(device)->id; }
  tunnel::Key key(std::string_view device) {
    const auto bytes = from_base64(gateway_->device_tunnel(id(device))->public_credential).value();
    tunnel::Key key{};
    std::copy(bytes.begin(), bytes.end(), key.begin());
    return key;
  }
  void hear(const tunnel::Event& event) { gateway_->on_tunnel_event(*way_in_, way_in_->event_of(event).value()); }
  void connect(std::string_view device, const char* endpoint = "203.0.113.9:40000") {
    hear(tunnel::PeerConnected{key(device), *parse_endpoint(endpoint)});
  }

  configuration::Configuration configuration_ = configuration::default_configuration();
  tests::MemoryStore store_;
  tests::FakeRedirect redirect_;
  tests::FakeClock clock_;
  tests::CountingRandom random_;
  std::ostringstream said_;
  std::shared_ptr<spdlog::logger> log_ = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(said_));
  std::unique_ptr<WireGuardWayIn> way_in_;
  tests::FakeTunnel* tunnel_ = nullptr;  // of the way in
  std::unique_ptr<Gateway> gateway_;
};

TEST_F(GatewayTest, ALeaseThatDoesNotEndByItsOwnDeadlineIsToldOfWithWhatEndedIt) {
  const auto told = [this](std::string_view by) {
    const auto text = said_.str();
    const auto line = " of device laptop (account alice) ended: " + std::string(by);
    std::size_t lines = 0;
    for (auto at = text.find(line); at != std::string::npos; at = text.find(line, at + 1)) ++lines;
    said_.str("");
    return lines;
  };
  const auto first_port = [this] { return gateway_->book().leases_of(id("laptop")).front()->on; };
  add_device("alice", "laptop");
  connect("laptop");
  ASSERT_TRUE(gateway_->remove_lease(first_port(), api::Administrator{}));
  EXPECT_EQ(told("removed by the operator"), 1U);
  ASSERT_TRUE(gateway_->remove_lease(first_port(), api::CallingDevice{id("laptop")}));
  EXPECT_EQ(told("given up by its device"), 1U);
  auto smaller = configuration_;
  smaller.pool = PortRange(Port{40000}, Port{40999});
  smaller.snat = PortRange(Port{33000}, Port{39999});
  const auto policy = configuration::make_policy(smaller, {{{"main", *parse_address("198.51.100.1"), {}}, {"wan"}}}, {});
  ASSERT_TRUE(gateway_->reconfigure(smaller, policy));
  EXPECT_EQ(told("by a change of the configuration"), 8U);
  ASSERT_TRUE(gateway_->remove_device("laptop"));
  said_.str("");
  add_device("alice", "laptop");
  connect("laptop");
  ASSERT_TRUE(gateway_->remove_account("alice"));
  EXPECT_EQ(told("its account was removed"), 10U);
}

TEST_F(GatewayTest, WhatProgramsAskForIsAuditedBelowWhatIsWrittenByDefault) {
  add_device("alice", "laptop");
  connect("laptop");
  PortMappings mappings(*gateway_, log_);
  protocol::port_mapping::Wish wish;
  wish.client = gateway_->book().device("laptop")->tunnel_v4;
  wish.internal_port = Port{4711};
  wish.lifetime = 1h;
  said_.str("");
  mappings.map(wish, [](const auto&) {});
  EXPECT_EQ(said_.str().find("audit: "), std::string::npos) << said_.str();

  log_->set_level(spdlog::level::debug);
  mappings.map(wish, [](const auto&) {});
  EXPECT_NE(said_.str().find("audit: device laptop: nat-pmp map tcp 4711 lifetime_s=3600: ok, port "), std::string::npos) << said_.str();
  wish.only_suggested = true;
  wish.suggested_port = Port{9};
  wish.internal_port = Port{4712};
  mappings.map(wish, [](const auto&) {});
  EXPECT_NE(said_.str().find("map tcp 4712 suggested_port=9 lifetime_s=3600: port_"), std::string::npos) << said_.str();
  protocol::port_mapping::Ending ending;
  ending.client = wish.client;
  ending.protocol = Protocol::tcp;
  ending.internal_port = Port{4711};
  mappings.end(ending, [](const auto&) {});
  EXPECT_NE(said_.str().find("audit: device laptop: port mapping end tcp 4711: ok, 1 ended"), std::string::npos) << said_.str();
}

TEST_F(GatewayTest, OfALeaseWhoseOwnDeadlineHasComeNothingIsSaid) {
  add_device("alice", "laptop");
  connect("laptop");
  ASSERT_TRUE(gateway_->disconnect_device(id("laptop")));
  clock_.time += configuration_.grace + 1s;
  gateway_->tick();
  EXPECT_TRUE(gateway_->book().leases_of(id("laptop")).empty());
  EXPECT_EQ(said_.str().find("ended"), std::string::npos) << said_.str();
}

TEST_F(GatewayTest, ALeaseThatAFileEndsWhileNobodyServesIsToldOfAtTheStart) {
  add_device("alice", "laptop");
  connect("laptop");
  said_.str("");
  const auto held = gateway_->book().leases().size();
  auto smaller = configuration_;
  smaller.pool = PortRange(Port{40000}, Port{40999});
  smaller.snat = PortRange(Port{33000}, Port{39999});
  const auto elsewhere = configuration::make_policy(smaller, {{{"main", *parse_address("198.51.100.1"), {}}, {"wan"}}}, {});
  const auto refused = load_book(store_, elsewhere, {"boot-1", clock_.now(), clock_.wall_now()}, OnLosses::refuse, *log_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "change_ends_leases");
  EXPECT_EQ(said_.str(), "");
  ASSERT_TRUE(load_book(store_, elsewhere, {"boot-1", clock_.now(), clock_.wall_now()}, OnLosses::accept, *log_));
  const auto text = said_.str();
  std::size_t lines = 0;
  for (auto at = text.find("ended: by a change of the configuration"); at != std::string::npos; at = text.find("ended:", at + 1)) ++lines;
  EXPECT_EQ(lines, held) << text;
}

TEST_F(GatewayTest, StatusNamesWhoReallyCarriesPacketsAndWhatWasNotCarried) {
  add_device("alice", "laptop");
  connect("laptop");
  tunnel_->counted = {{"replayed", 7}};
  const auto status = gateway_->status();
  EXPECT_EQ(status.engine, "no engine");
  ASSERT_EQ(status.ways_in.size(), 1U);
  EXPECT_EQ(status.ways_in[0].kind, "wireguard");
  EXPECT_EQ(status.ways_in[0].interface, "drpf0");
  EXPECT_EQ(status.ways_in[0].devices_connected, 1U);
  ASSERT_EQ(status.ways_in[0].counters.size(), 1U);
  EXPECT_EQ(status.ways_in[0].counters[0].name, "replayed");
  EXPECT_EQ(status.ways_in[0].counters[0].value, 7U);
}

TEST_F(GatewayTest, AReloadThatIsRefusedSaysWhyAndOneThatIsTakenWhatItEnded) {
  EXPECT_EQ(gateway_->reload({}).error().code, "reload_unsupported");
  add_device("alice", "laptop");
  connect("laptop");
  bool asked_for_ends = false;
  gateway_->set_reload([&](const api::ReloadOptions& options) -> Result<std::vector<std::string>> {
    asked_for_ends = options.end_leases;
    if (!options.end_leases) return fail(refusal("leases_would_end", "two leases would end"));
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(gateway_->remove_lease(gateway_->book().leases().front()->on, api::Administrator{}));
    return std::vector<std::string>{"[ports] pool"};
  });
  EXPECT_EQ(gateway_->reload({}).error().code, "leases_would_end");
  const auto taken = gateway_->reload({.end_leases = true});
  ASSERT_TRUE(taken);
  EXPECT_TRUE(asked_for_ends);
  EXPECT_EQ(taken->leases_ended, 2U);
  EXPECT_EQ(taken->changed, std::vector<std::string>{"[ports] pool"});
}

TEST_F(GatewayTest, AStoreThatCannotBeWrittenIsShownUntilItCan) {
  ASSERT_TRUE(gateway_->add_account("alice", {}));
  store_.fail_next();
  EXPECT_FALSE(gateway_->add_account("bob", {}));
  ASSERT_EQ(gateway_->status().warnings.size(), 1U);
  EXPECT_NE(gateway_->status().warnings[0].find("store cannot be written"), std::string::npos) << gateway_->status().warnings[0];
  ASSERT_TRUE(gateway_->add_account("bob", {}));
  EXPECT_TRUE(gateway_->status().warnings.empty());
}

TEST_F(GatewayTest, FirstConnectGivesThePortsOfThePlanAndOpensThem) {
  add_device("alice", "laptop");
  EXPECT_TRUE(redirect_.table.empty());
  connect("laptop");
  EXPECT_EQ(gateway_->book().leases_of(id("laptop")).size(), 10U);  // five ports, TCP and UDP
  EXPECT_EQ(redirect_.table.size(), 10U);
}

TEST_F(GatewayTest, TheEndpointIsInTheFirewallBeforeTheDeviceIsAdmitted) {
  add_device("alice", "laptop");
  connect("laptop", "203.0.113.9:40000");
  EXPECT_TRUE(redirect_.endpoints.contains(*parse_address("203.0.113.9")));
  ASSERT_EQ(tunnel_->admitted.size(), 1U);
  EXPECT_EQ(tunnel_->admitted[0].second, *parse_address("203.0.113.9"));
}

TEST_F(GatewayTest, WhoDoesNotGetInIsSaidWithTheReason) {
  add_device("alice", "laptop");
  EXPECT_TRUE(gateway_->check().empty());
  EXPECT_FALSE(gateway_->device_tunnel(id("laptop"))->refused);
  tunnel::PeerStatus status;
  status.public_key = key("laptop");
  status.last_timestamp = protocol::wireguard::tai64n(clock_.wall_now() + std::chrono::hours(24 * 365));
  status.refused =
      tunnel::PeerRefusal{tunnel::PeerRefusal::Why::old_stamp, 3, clock_.wall_now(), protocol::wireguard::tai64n(clock_.wall_now())};
  tunnel_->statuses[status.public_key] = status;
  tunnel_->unknown = {{tunnel::StrangerRefusal::Why::unknown_key, 7, clock_.wall_now(), *parse_endpoint("203.0.113.7:1"), tunnel::Key{9}}};
  const auto refused = gateway_->device_tunnel(id("laptop"))->refused;
  ASSERT_TRUE(refused);
  EXPECT_NE(refused->message.find("its clock says"), std::string::npos) << refused->message;
  EXPECT_NE(refused->cure.find("drpf device forget-clock laptop"), std::string::npos) << refused->cure;
  const auto findings = gateway_->check();
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_NE(findings[0].message.find("device laptop does not get in: its clock says"), std::string::npos) << findings[0].message;
  EXPECT_NE(findings[1].message.find("7 handshakes with a key that no device has, the last one from 203.0.113.7:1"), std::string::npos)
      << findings[1].message;
  const auto times_said = [&] {
    std::size_t times = 0;
    const auto text = said_.str();
    for (auto at = text.find("does not get in"); at != std::string::npos; at = text.find("does not get in", at + 1)) ++times;
    return times;
  };
  gateway_->tell_refusals();
  EXPECT_EQ(times_said(), 2U);
  gateway_->tell_refusals();
  EXPECT_EQ(times_said(), 2U) << "not with every look";
  clock_.time += Gateway::refusal_repeat;
  gateway_->tell_refusals();
  EXPECT_EQ(times_said(), 2U) << "nobody has asked since";
  tunnel_->statuses[status.public_key].refused->last = clock_.wall_now();
  gateway_->tell_refusals();
  EXPECT_EQ(times_said(), 3U);
  clock_.time += Gateway::refusal_shown;
  EXPECT_FALSE(gateway_->device_tunnel(id("laptop"))->refused) << "it has long given up";
  EXPECT_TRUE(gateway_->check().empty());
}

TEST_F(GatewayTest, AClockIsForgottenOnRequest) {
  add_device("alice", "laptop");
  connect("laptop");
  auto peer = store_.load_wireguard_peers()->front();
  peer.last_timestamp.fill(0x7f);
  ASSERT_TRUE(store_.save_wireguard_peers({peer}));
  restart();
  EXPECT_EQ(tunnel_->peers.at(key("laptop")).last_timestamp, peer.last_timestamp);
  ASSERT_TRUE(gateway_->forget_clock("laptop"));
  EXPECT_EQ(tunnel_->peers.at(key("laptop")).last_timestamp, (std::array<std::uint8_t, 12>{}));
  EXPECT_EQ(store_.load_wireguard_peers()->front().last_timestamp, (std::array<std::uint8_t, 12>{}));
  EXPECT_TRUE(gateway_->book().device("laptop")->connected);
  EXPECT_EQ(gateway_->forget_clock("tower").error().code, "device_unknown");
}

TEST_F(GatewayTest, OnlyTheAnswerThatIsNotTrueYetIsHeld) {
  add_device("alice", "laptop");
  connect("laptop");
  std::vector<std::pair<redirect::Redirect::Ticket, std::function<void()>>> held;
  PortMappings mappings(*gateway_, log_, [&](auto ticket, auto answer) { held.emplace_back(ticket, std::move(answer)); });
  protocol::port_mapping::Wish wish;
  wish.client = gateway_->book().device(id("laptop"))->tunnel_v4;
  wish.lifetime = std::chrono::hours(1);
  wish.internal_port = Port{8080};
  std::vector<std::uint16_t> answered;
  const auto answer = [&](const auto& mapped) {
    ASSERT_TRUE(mapped) << mapped.error().message;
    answered.push_back(mapped->front().internal_port.value());
  };
  mappings.map(wish, answer);
  ASSERT_EQ(answered, (std::vector<std::uint16_t>{8080}));
  const auto own =
      std::find_if(redirect_.table.begin(), redirect_.table.end(), [](const auto& one) { return one.second.device_port == Port{8080}; });
  ASSERT_NE(own, redirect_.table.end());
  redirect_.tickets[own->first] = 5;
  mappings.together([&] {
    mappings.map(wish, answer);
    wish.internal_port = Port{8081};
    mappings.map(wish, answer);
  });
  EXPECT_EQ(answered, (std::vector<std::uint16_t>{8080, 8081})) << "the port that was given on at once has to wait";
  ASSERT_EQ(held.size(), 1U);
  EXPECT_EQ(held[0].first, 5U);
  held[0].second();
  EXPECT_EQ(answered, (std::vector<std::uint16_t>{8080, 8081, 8080}));
  redirect_.settled_to = 5;
  wish.internal_port = Port{8080};
  mappings.map(wish, answer);
  EXPECT_EQ(held.size(), 1U);
}

TEST_F(GatewayTest, GoodByeClosesThePortsAndTheNextConnectOpensTheSame) {
  add_device("alice", "laptop");
  connect("laptop");
  const auto before = redirect_.table;
  ASSERT_TRUE(gateway_->disconnect_device(id("laptop")));
  EXPECT_TRUE(redirect_.table.empty());
  EXPECT_EQ(tunnel_->departed.size(), 1U);
  connect("laptop");
  ASSERT_EQ(redirect_.table.size(), before.size());
  for (const auto& [where, now] : redirect_.table) {
    ASSERT_TRUE(before.contains(where));
    EXPECT_NE(now.generation, before.at(where).generation);
  }
}

// The gateway sees the silence first, and the tunnel would take the next packet for one of a device that has been there all along.
TEST_F(GatewayTest, ASilentDeviceThatTheTunnelHasNotGivenUpComesBackAsANewConnect) {
  add_device("alice", "laptop");
  connect("laptop");
  tunnel::PeerStatus status;
  status.public_key = key("laptop");
  status.endpoint = parse_endpoint("203.0.113.9:40000").value();
  status.last_authenticated = clock_.time;
  tunnel_->statuses[status.public_key] = status;
  for (int i = 0; i < 400 && !redirect_.table.empty(); ++i) {
    clock_.time += 1s;
    gateway_->tick();
  }
  EXPECT_TRUE(redirect_.table.empty());
  EXPECT_FALSE(gateway_->book().device("laptop")->connected);
  gateway_->tick();
  EXPECT_EQ(tunnel_->departed, std::vector{key("laptop")});
  connect("laptop");
  EXPECT_EQ(redirect_.table.size(), 10U);
}

TEST_F(GatewayTest, AfterACrashEveryLeaseIsThereAndTheDeviceIsCalledBack) {
  add_device("alice", "laptop");
  connect("laptop");
  const auto before = redirect_.table;
  tunnel::PeerStatus status;
  status.public_key = key("laptop");
  status.endpoint = parse_endpoint("203.0.113.9:40000").value();
  status.last_timestamp.fill(7);
  tunnel_->statuses[status.public_key] = status;
  ASSERT_TRUE(gateway_->save_tunnel_state());
  restart();
  EXPECT_EQ(redirect_.table, before);
  EXPECT_EQ(tunnel_->initiated, std::vector{key("laptop")});
  EXPECT_EQ(tunnel_->peers.at(key("laptop")).last_timestamp, status.last_timestamp);
}

TEST_F(GatewayTest, AfterACrashTheDeviceIsCalledWhereItWasSeenLast) {
  add_device("alice", "laptop");
  connect("laptop", "203.0.113.9:40000");
  restart();
  EXPECT_EQ(tunnel_->peers.at(key("laptop")).endpoint, *parse_endpoint("203.0.113.9:40000"));
  EXPECT_EQ(tunnel_->initiated, std::vector{key("laptop")});
  const auto moved_to = *parse_endpoint("203.0.113.77:41000");
  hear(tunnel::PeerRoamed{key("laptop"), moved_to});
  tunnel_->statuses[key("laptop")].public_key = key("laptop");
  tunnel_->statuses[key("laptop")].endpoint = moved_to;
  ASSERT_TRUE(gateway_->save_tunnel_state());
  restart();
  EXPECT_EQ(tunnel_->peers.at(key("laptop")).endpoint, *parse_endpoint("203.0.113.77:41000"));
}

TEST_F(GatewayTest, ADeviceThatMovesWithoutEndIsFollowedMoreSlowly) {
  add_device("alice", "laptop");
  connect("laptop", "203.0.113.9:40000");
  const auto before = tunnel_->admitted.size();
  for (int i = 0; i < 100; ++i) hear(tunnel::PeerRoamed{key("laptop"), *parse_endpoint("203.0.113." + std::to_string(100 + i) + ":40000")});
  EXPECT_EQ(tunnel_->admitted.size(), before + Gateway::moves_at_once_max);
  clock_.time += Gateway::move_interval;
  gateway_->tick();
  gateway_->tick();
  EXPECT_EQ(tunnel_->admitted.size(), before + Gateway::moves_at_once_max + 1) << "one more, to where it is by now";
  EXPECT_EQ(tunnel_->admitted.back().second, *parse_address("203.0.113.199"));
}

TEST_F(GatewayTest, ADeviceThatMovesWhileTheKernelRefusesIsAdmittedWhenItAcceptsAgain) {
  add_device("alice", "laptop");
  connect("laptop", "203.0.113.9:40000");
  const auto moved_to = *parse_endpoint("203.0.113.77:41000");
  redirect_.refuse_endpoints = true;
  hear(tunnel::PeerRoamed{key("laptop"), moved_to});
  EXPECT_EQ(tunnel_->admitted.back().second, *parse_address("203.0.113.9"));
  redirect_.refuse_endpoints = false;
  gateway_->tick();
  EXPECT_EQ(tunnel_->admitted.back().second, moved_to.address);
  EXPECT_TRUE(redirect_.endpoints.contains(moved_to.address));
  const auto admitted = tunnel_->admitted.size();
  gateway_->tick();
  EXPECT_EQ(tunnel_->admitted.size(), admitted);
}

TEST_F(GatewayTest, EachRunLeavesItsStampsToItselfEvenWhenItIsKilledAtOnce) {
  restart();
  for (int run = 0; run < 5; ++run) {
    const auto begins_above = store_.load_wireguard_identity()->value().timestamp_floor;
    protocol::wireguard::TimestampSource stamps(begins_above);
    std::array<std::uint8_t, 12> last{};
    restart();  // and stamps, before anything is saved
    for (int device = 0; device < 1000; ++device) last = stamps.next(clock_.wall_now());
    EXPECT_LT(last, store_.load_wireguard_identity()->value().timestamp_floor);
  }
}

TEST_F(GatewayTest, ADeviceThatDoesNotComeBackAfterARestartIsClosed) {
  add_device("alice", "laptop");
  connect("laptop");
  restart();
  clock_.time += 179s;
  gateway_->tick();
  EXPECT_FALSE(redirect_.table.empty());
  clock_.time += 2s;
  gateway_->tick();
  EXPECT_TRUE(redirect_.table.empty());
}

TEST_F(GatewayTest, LeasesOfAConnectedDeviceAreRenewedBeforeTheKernelEndsThem) {
  add_device("alice", "laptop");
  connect("laptop");
  const auto first_deadline = redirect_.table.begin()->second.deadline;
  for (int minute = 0; minute < 120; ++minute) {
    clock_.time += 60s;
    gateway_->tick();
    for (const auto& [where, one] : redirect_.table) ASSERT_GT(one.deadline, clock_.time);
  }
  EXPECT_GT(redirect_.table.begin()->second.deadline, first_deadline);
}

TEST_F(GatewayTest, AKernelThatRefusesIsRepairedAtTheNextTick) {
  add_device("alice", "laptop");
  redirect_.refuse = true;
  connect("laptop");
  EXPECT_TRUE(redirect_.table.empty());
  redirect_.refuse = false;
  gateway_->tick();
  EXPECT_EQ(redirect_.table.size(), 10U);
  EXPECT_GT(gateway_->status().repairs, 0U);
}

TEST_F(GatewayTest, ARemovedDeviceLeavesNothingBehind) {
  add_device("alice", "laptop");
  connect("laptop");
  const auto gone = key("laptop");
  ASSERT_TRUE(gateway_->remove_device("laptop"));
  EXPECT_TRUE(redirect_.table.empty());
  EXPECT_FALSE(tunnel_->peers.contains(gone));
  restart();
  EXPECT_TRUE(tunnel_->peers.empty());
}

TEST_F(GatewayTest, NothingPassesInTheTunnelsOfASuspendedAccount) {
  add_device("alice", "laptop");
  add_device("ben", "tower");
  connect("laptop");
  const auto own = tunnel_->peers.at(key("laptop")).allowed_ips;
  ASSERT_FALSE(own.empty());
  ASSERT_TRUE(gateway_->set_account("alice", {}, true));
  EXPECT_TRUE(redirect_.table.empty());
  EXPECT_TRUE(tunnel_->peers.at(key("laptop")).allowed_ips.empty());
  EXPECT_FALSE(tunnel_->peers.at(key("tower")).allowed_ips.empty());
  add_device("alice", "phone");
  EXPECT_TRUE(tunnel_->peers.at(key("phone")).allowed_ips.empty());
  restart();
  EXPECT_TRUE(tunnel_->peers.at(key("laptop")).allowed_ips.empty());
  ASSERT_TRUE(gateway_->set_account("alice", {}, false));
  EXPECT_EQ(tunnel_->peers.at(key("laptop")).allowed_ips, own);
  EXPECT_FALSE(tunnel_->peers.at(key("laptop")).endpoint) << "the tunnel knows better where the device is";
}

TEST_F(GatewayTest, OneKeyBelongsToOneDevice) {
  add_device("alice", "laptop");
  const auto taken = key("laptop");
  const auto second = gateway_->add_device("alice", "phone", api::BroughtCredential{"wireguard", Bytes(taken.begin(), taken.end())});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, "key_taken");
}

TEST_F(GatewayTest, ListenersHearOfEachChangeUntilTheyLeave) {
  add_device("alice", "laptop");
  std::vector<std::string> heard;
  auto subscription = gateway_->subscribe([&](const api::Change& change) { heard.push_back(change.what); });
  connect("laptop");
  EXPECT_EQ(heard, (std::vector<std::string>{"leases", "connected"}));
  subscription.reset();
  ASSERT_TRUE(gateway_->disconnect_device(id("laptop")));
  EXPECT_EQ(heard.size(), 2U);
}

TEST_F(GatewayTest, AStartUnderAFileThatEndsLeasesIsRefusedAndChangesNothing) {
  add_device("alice", "laptop");
  connect("laptop");
  const auto before = gateway_->book().leases_of(id("laptop")).size();
  gateway_.reset();
  auto smaller = configuration_;
  smaller.pool = PortRange(Port{10000}, Port{10000});
  const auto policy = configuration::make_policy(smaller, {{{"main", *parse_address("198.51.100.1"), {}}, {"wan"}}}, {});
  const store::ClockReading reading{"boot-1", clock_.now(), clock_.wall_now()};
  const auto refused = load_book(store_, policy, reading, OnLosses::refuse, *log_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "change_ends_leases");
  restart();
  EXPECT_EQ(gateway_->book().leases_of(id("laptop")).size(), before);
  gateway_.reset();
  const auto asked_for = load_book(store_, policy, reading, OnLosses::accept, *log_);
  ASSERT_TRUE(asked_for);
  EXPECT_LT(asked_for->leases().size(), before);
}

}  // namespace
}  // namespace drpf::gateway
