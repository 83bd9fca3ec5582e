// A gateway with a way in of a kind that knows no keys: alone, and beside WireGuard.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include "configuration/policy.h"
#include "gateway/gateway.h"
#include "support/fake_clock.h"
#include "support/fake_redirect.h"
#include "support/fake_tunnel.h"
#include "support/fake_way_in.h"
#include "support/memory_store.h"
#include "tunnel/wireguard_devices/wireguard_way_in.h"

namespace drpf::gateway {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using tunnel::wireguard_devices::WireGuardWayIn;

class WaysInTest : public ::testing::Test {
 protected:
  void start(bool with_wireguard) {
    gateway_.reset();
    cans_ = std::make_unique<tests::FakeWayIn>(words_);
    std::vector<tunnel::WayIn*> ways_in{cans_.get()};
    if (with_wireguard) {
      auto opened = WireGuardWayIn::open(WireGuardWayIn::Settings{}, {}, {store_, clock_, random_, log_});
      ASSERT_TRUE(opened) << opened.error().message;
      wireguard_ = std::move(*opened);
      auto engine = std::make_unique<tests::FakeTunnel>();
      engine_ = engine.get();
      wireguard_->carried_by(std::move(engine));
      ways_in.push_back(wireguard_.get());
    }
    const auto policy = configuration::make_policy(configuration_, {{{"main", *parse_address("198.51.100.1"), {}}, {"wan"}}}, {});
    auto book = load_book(store_, policy, {"boot-1", clock_.now(), clock_.wall_now()}, OnLosses::refuse, *log_);
    ASSERT_TRUE(book) << book.error().message;
    ASSERT_TRUE(redirect_.reconcile(book->redirections(), clock_.now()));
    auto opened = Gateway::open(configuration_, std::move(*book),
                                Parts{store_, redirect_, ways_in, clock_, log_, "boot-1", [] { return std::vector<api::Finding>{}; },
                                      [](const lease::Device&) { return Status{}; }});
    ASSERT_TRUE(opened) << opened.error().message;
    gateway_ = std::move(*opened);
    if (gateway_->book().account("alice") == nullptr) {
      ASSERT_TRUE(gateway_->add_account("alice", {}));
      const auto device = gateway_->add_device("alice", "laptop", {});
      ASSERT_TRUE(device) << device.error().message;
      laptop_ = device->value.id;
    }
  }
  bool is_connected() { return gateway_->book().device(laptop_)->connected; }
  static Endpoint at(const char* text) { return *parse_endpoint(text); }
  void connect(tunnel::WayIn& way_in, const char* endpoint) {
    gateway_->on_tunnel_event(way_in, tunnel::DeviceConnected{laptop_, at(endpoint)});
  }

  configuration::Configuration configuration_ = configuration::default_configuration();
  tests::MemoryStore store_;
  tests::FakeRedirect redirect_;
  tests::FakeClock clock_;
  tests::CountingRandom random_;
  std::shared_ptr<spdlog::logger> log_ = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_mt>());
  tests::FakeWayIn::Words words_;
  std::unique_ptr<tests::FakeWayIn> cans_;
  std::unique_ptr<WireGuardWayIn> wireguard_;
  tests::FakeTunnel* engine_ = nullptr;
  std::unique_ptr<Gateway> gateway_;
  lease::DeviceId laptop_{};
};

TEST_F(WaysInTest, ADeviceOfAThirdKindGetsItsPortsAndIsAdmittedAfterTheFirewallKnowsIt) {
  start(false);
  EXPECT_EQ(cans_->inside.at(laptop_).front(), Prefix::host(gateway_->book().device(laptop_)->tunnel_v4));
  EXPECT_THAT(cans_->admitted, IsEmpty());
  connect(*cans_, "203.0.113.9:40000");
  EXPECT_TRUE(is_connected());
  EXPECT_EQ(redirect_.table.size(), 10U);
  EXPECT_TRUE(redirect_.endpoints.contains(*parse_address("203.0.113.9")));
  EXPECT_THAT(cans_->admitted, ElementsAre(std::pair(laptop_, *parse_address("203.0.113.9"))));
  EXPECT_EQ(gateway_->way_in_of(laptop_), cans_.get());
}

TEST_F(WaysInTest, NothingOfWireGuardIsNeeded) {
  start(false);
  EXPECT_TRUE(store_.load_wireguard_peers()->empty());
  EXPECT_FALSE(*store_.load_wireguard_identity());
  const auto text = gateway_->device_config("laptop", {.inbound_only = false, .endpoint = "vpn.example.org"});
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_THAT(*text, HasSubstr("shout word-"));
  EXPECT_THAT(*text, HasSubstr("vpn.example.org"));
  EXPECT_THAT(gateway_->device_tunnel(laptop_)->public_credential, IsEmpty());
  EXPECT_FALSE(gateway_->call_for_answer(laptop_));
  EXPECT_TRUE(gateway_->save_tunnel_state());
}

TEST_F(WaysInTest, WhatADeviceBringsIsForTheKindThatItNames) {
  start(false);
  const std::string word = "mellon";
  ASSERT_TRUE(gateway_->add_device("alice", "phone", api::BroughtCredential{"string-and-cans", Bytes(word.begin(), word.end())}));
  EXPECT_EQ(words_.at(gateway_->book().device("phone")->id), word);
  const auto refused = gateway_->add_device("alice", "tower", api::BroughtCredential{"wireguard", Bytes(32, 9)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "kind_not_offered");
  EXPECT_EQ(gateway_->book().device("tower"), nullptr);
}

TEST_F(WaysInTest, CredentialsOfADeviceThatWasNotCommittedAreNotTakenUp) {
  start(true);
  store_.fail_next();
  ASSERT_FALSE(gateway_->add_device("alice", "phone", {}));
  EXPECT_EQ(words_.size(), 1U);
  EXPECT_EQ(store_.load_wireguard_peers()->size(), 1U);
  EXPECT_EQ(engine_->peers.size(), 1U);
}

TEST_F(WaysInTest, ItRoamsIsFencedAndSaysGoodBye) {
  start(false);
  connect(*cans_, "203.0.113.9:40000");
  gateway_->on_tunnel_event(*cans_, tunnel::DeviceRoamed{laptop_, at("203.0.113.77:41000")});
  EXPECT_EQ(cans_->admitted.back().second, *parse_address("203.0.113.77"));
  EXPECT_TRUE(redirect_.endpoints.contains(*parse_address("203.0.113.77")));
  ASSERT_TRUE(gateway_->disconnect_device(laptop_));
  EXPECT_FALSE(is_connected());
  EXPECT_TRUE(redirect_.table.empty());
  EXPECT_EQ(cans_->fenced.size(), 10U);
  EXPECT_THAT(cans_->departed, ElementsAre(laptop_));
}

TEST_F(WaysInTest, ItIsSuspendedAndComesBackWithItsAddress) {
  start(false);
  connect(*cans_, "203.0.113.9:40000");
  const auto own = cans_->inside.at(laptop_);
  ASSERT_TRUE(gateway_->set_account("alice", {}, true));
  EXPECT_THAT(cans_->inside.at(laptop_), IsEmpty());
  EXPECT_TRUE(redirect_.table.empty());
  ASSERT_TRUE(gateway_->set_account("alice", {}, false));
  EXPECT_EQ(cans_->inside.at(laptop_), own);
}

TEST_F(WaysInTest, ItIsRemoved) {
  start(true);
  connect(*cans_, "203.0.113.9:40000");
  ASSERT_TRUE(gateway_->remove_device("laptop"));
  EXPECT_TRUE(redirect_.table.empty());
  EXPECT_THAT(cans_->inside, IsEmpty());
  EXPECT_THAT(words_, IsEmpty());
  EXPECT_THAT(engine_->peers, IsEmpty());
  // What was under way meanwhile is of nobody.
  gateway_->on_tunnel_event(*cans_, tunnel::DeviceRoamed{laptop_, at("203.0.113.9:40001")});
  EXPECT_TRUE(redirect_.table.empty());
}

TEST_F(WaysInTest, AWayInThatRefusesADeviceIsAskedAgain) {
  start(true);
  cans_->refuse = true;
  EXPECT_FALSE(gateway_->set_account("alice", {}, true));
  cans_->refuse = false;
  gateway_->tick();
  EXPECT_THAT(cans_->inside.at(laptop_), IsEmpty());
  EXPECT_THAT(engine_->peers.begin()->second.allowed_ips, IsEmpty());
}

TEST_F(WaysInTest, OneDeviceOfTwoKindsIsHereByTheOneThatToldLast) {
  start(true);
  connect(*wireguard_, "203.0.113.9:51820");
  EXPECT_EQ(gateway_->way_in_of(laptop_), wireguard_.get());
  const auto address = gateway_->book().device(laptop_)->tunnel_v4;
  EXPECT_EQ(redirect_.here.at(address), wireguard_->interface());
  const auto before = redirect_.table;
  connect(*cans_, "203.0.113.77:40000");
  EXPECT_EQ(gateway_->way_in_of(laptop_), cans_.get());
  EXPECT_EQ(redirect_.here.at(address), cans_->interface());
  EXPECT_EQ(redirect_.table, before) << "its leases go on";
  EXPECT_EQ(engine_->departed.size(), 1U) << "when WireGuard hears of it again, that is a new connect";
  // The one that it left tells of its silence in the end: it is here all the same.
  gateway_->on_tunnel_event(*wireguard_, tunnel::DeviceDisconnected{laptop_});
  EXPECT_TRUE(is_connected());
  EXPECT_EQ(redirect_.table, before);
  // And back, as a move that the former way in tells of.
  gateway_->on_tunnel_event(*wireguard_, tunnel::DeviceRoamed{laptop_, at("203.0.113.9:51821")});
  EXPECT_EQ(gateway_->way_in_of(laptop_), wireguard_.get());
  EXPECT_THAT(cans_->departed, ElementsAre(laptop_));
  gateway_->on_tunnel_event(*cans_, tunnel::DeviceDisconnected{laptop_});
  EXPECT_TRUE(is_connected());
  gateway_->on_tunnel_event(*wireguard_, tunnel::DeviceDisconnected{laptop_});
  EXPECT_FALSE(is_connected());
  EXPECT_TRUE(redirect_.table.empty());
}

TEST_F(WaysInTest, EndedLeasesAreFencedByEveryWayIn) {
  start(true);
  connect(*wireguard_, "203.0.113.9:51820");
  connect(*cans_, "203.0.113.77:40000");
  ASSERT_TRUE(gateway_->disconnect_device(laptop_));
  EXPECT_EQ(cans_->fenced.size(), 10U);
  EXPECT_EQ(engine_->fenced.size(), 10U);
  EXPECT_THAT(cans_->departed, Not(IsEmpty()));
  EXPECT_THAT(engine_->departed, Not(IsEmpty()));
}

TEST_F(WaysInTest, AfterARestartADeviceOfAKindThatCannotCallIsWaitedFor) {
  start(true);
  connect(*cans_, "203.0.113.9:40000");
  start(true);
  EXPECT_TRUE(is_connected());
  EXPECT_EQ(redirect_.table.size(), 10U);
  connect(*cans_, "203.0.113.9:40000");
  clock_.time += 600s;
  gateway_->tick();
  EXPECT_TRUE(is_connected());
}

TEST_F(WaysInTest, SilenceInTheWayThatADeviceLeftEndsNothing) {
  start(true);
  connect(*wireguard_, "203.0.113.9:51820");
  tunnel::PeerStatus silent;
  silent.public_key = engine_->peers.begin()->first;
  silent.endpoint = at("203.0.113.9:51820");
  silent.last_authenticated = clock_.time;
  engine_->statuses[silent.public_key] = silent;
  connect(*cans_, "203.0.113.77:40000");
  for (int i = 0; i < 400; ++i) {
    clock_.time += 1s;
    gateway_->tick();
  }
  EXPECT_TRUE(is_connected());
}

}  // namespace
}  // namespace drpf::gateway
