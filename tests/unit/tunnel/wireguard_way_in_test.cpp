#include "tunnel/wireguard_devices/wireguard_way_in.h"

#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include "core/encoding.h"
#include "crypto/wireguard_primitives.h"
#include "support/fake_clock.h"
#include "support/fake_tunnel.h"
#include "support/memory_store.h"

namespace drpf::tunnel::wireguard_devices {
namespace {

using namespace std::chrono_literals;

constexpr lease::DeviceId laptop_id{7};
constexpr lease::DeviceId phone_id{8};

class WireGuardWayInTest : public ::testing::Test {
 protected:
  void SetUp() override {
    lease::Transaction devices;
    devices.records.emplace_back(lease::PutAccount{{lease::AccountId{1}, "alice", "personal"}});
    devices.records.emplace_back(
        lease::PutDevice{{laptop_id, lease::AccountId{1}, "laptop", parse_address("10.77.0.2").value(), {}, false}});
    devices.records.emplace_back(lease::PutDevice{{phone_id, lease::AccountId{1}, "phone", parse_address("10.77.0.3").value(), {}, false}});
    ASSERT_TRUE(store_.commit(devices, {"boot-1", clock_.now(), clock_.wall_now()}));
    restart();
  }
  void restart() {
    const auto identity = gateway_identity(store_, random_);
    ASSERT_TRUE(identity) << identity.error().message;
    auto opened = WireGuardWayIn::open({}, *identity, {store_, clock_, random_, log_});
    ASSERT_TRUE(opened) << opened.error().message;
    way_in_ = std::move(*opened);
    auto engine = std::make_unique<tests::FakeTunnel>();
    engine_ = engine.get();
    way_in_->carried_by(std::move(engine));
  }
  Status make(lease::DeviceId device, std::optional<ByteView> brought = {}) {
    store::Credentials made;
    const auto name_of = [](lease::DeviceId id) { return std::string(id == laptop_id ? "laptop" : "phone"); };
    if (auto done = way_in_->make_credentials(device, brought, name_of, made); !done) return done;
    if (auto done = store_.commit_with({}, made, {"boot-1", clock_.now(), clock_.wall_now()}); !done) return done;
    way_in_->take_up(made);
    return {};
  }
  Key key() { return engine_->peers.begin()->first; }
  static std::vector<Prefix> own() { return {Prefix::host(parse_address("10.77.0.2").value())}; }

  tests::MemoryStore store_;
  tests::FakeClock clock_;
  tests::CountingRandom random_;
  std::shared_ptr<spdlog::logger> log_ = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_mt>());
  std::unique_ptr<WireGuardWayIn> way_in_;
  tests::FakeTunnel* engine_ = nullptr;
};

TEST_F(WireGuardWayInTest, TheGatewaysKeyIsMadeOnceAndKept) {
  const auto first = gateway_identity(store_, random_);
  const auto second = gateway_identity(store_, random_);
  EXPECT_EQ(first.value(), second.value());
}

TEST_F(WireGuardWayInTest, WhatTheEngineSaysOfAKeyIsSaidOfItsDevice) {
  ASSERT_TRUE(make(laptop_id));
  ASSERT_TRUE(way_in_->let_in({laptop_id, own()}));
  const auto endpoint = parse_endpoint("203.0.113.9:40000").value();
  const auto connected = way_in_->event_of(PeerConnected{key(), endpoint});
  ASSERT_TRUE(connected);
  EXPECT_EQ(std::get<DeviceConnected>(*connected).device, laptop_id);
  EXPECT_EQ(std::get<DeviceConnected>(*connected).endpoint, endpoint);
  EXPECT_EQ(std::get<DeviceDisconnected>(way_in_->event_of(PeerDisconnected{key()}).value()).device, laptop_id);
  EXPECT_FALSE(way_in_->event_of(PeerRoamed{Key{99}, endpoint})) << "a key of nobody";
  const auto gone = key();
  ASSERT_TRUE(way_in_->remove(laptop_id));
  EXPECT_FALSE(way_in_->event_of(PeerConnected{gone, endpoint}));
  EXPECT_TRUE(engine_->peers.empty());
  EXPECT_FALSE(way_in_->knows(laptop_id));
}

TEST_F(WireGuardWayInTest, AKeyThatADeviceBringsIsItsOwnAndNobodyElses) {
  const Bytes brought(32, 5);
  ASSERT_TRUE(make(laptop_id, ByteView(brought)));
  EXPECT_EQ(way_in_->public_credential(laptop_id), to_base64(brought));
  EXPECT_FALSE(store_.load_wireguard_peers()->front().private_key);
  const auto taken = make(phone_id, ByteView(brought));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().message, "this public key belongs to device laptop already");
  EXPECT_FALSE(make(phone_id, ByteView(brought).first(31)));
  EXPECT_FALSE(way_in_->knows(phone_id));
}

TEST_F(WireGuardWayInTest, TheGatewaysOwnKeyAndKeysThatShareNoSecretAreNoDevices) {
  const auto refused = [&](const Key& key) {
    const auto made = make(laptop_id, ByteView(key));
    return !made && made.error().code == "public_key_invalid";
  };
  EXPECT_TRUE(refused(crypto::x25519_public(gateway_identity(store_, random_).value().private_key)));
  Key key{};
  EXPECT_TRUE(refused(key)) << "zero";
  key[0] = 1;
  EXPECT_TRUE(refused(key)) << "one";
  key.fill(5);
  key[31] = 0x85;
  EXPECT_TRUE(refused(key)) << "the bit that is not looked at: another spelling of a key that is somebody's";
  key.fill(0xff);
  key[0] = 0xf0;
  key[31] = 0x7f;
  EXPECT_TRUE(refused(key)) << "three, spelled with the prime added";
  EXPECT_FALSE(way_in_->knows(laptop_id));
}

TEST_F(WireGuardWayInTest, TheEngineIsToldOnceWhereADeviceWas) {
  ASSERT_TRUE(make(laptop_id));
  const auto endpoint = parse_endpoint("203.0.113.9:40000").value();
  way_in_->remember(laptop_id, endpoint);
  restart();
  EXPECT_EQ(way_in_->status(laptop_id)->endpoint, endpoint);
  ASSERT_TRUE(way_in_->let_in({laptop_id, own()}));
  EXPECT_EQ(engine_->peers.at(key()).endpoint, endpoint);
  ASSERT_TRUE(way_in_->let_in({laptop_id, {}}));
  EXPECT_FALSE(engine_->peers.at(key()).endpoint) << "it knows better by now";
  EXPECT_TRUE(engine_->peers.at(key()).allowed_ips.empty());
}

TEST_F(WireGuardWayInTest, StateIsWrittenWhenItHasChanged) {
  ASSERT_TRUE(make(laptop_id));
  ASSERT_TRUE(way_in_->let_in({laptop_id, own()}));
  EXPECT_TRUE(way_in_->begin().value());
  EXPECT_FALSE(way_in_->save_state().value());
  PeerStatus status;
  status.public_key = key();
  status.endpoint = parse_endpoint("203.0.113.9:40000").value();
  status.last_timestamp.fill(7);
  engine_->statuses[status.public_key] = status;
  EXPECT_TRUE(way_in_->save_state().value());
  EXPECT_EQ(store_.load_wireguard_peers()->front().last_timestamp, status.last_timestamp);
  EXPECT_FALSE(way_in_->save_state().value());
  clock_.time += 30s;
  EXPECT_TRUE(way_in_->save_state().value()) << "the stamps of the next run begin later";
  clock_.time += 30s;
  store_.fail_next();
  EXPECT_FALSE(way_in_->save_state());
}

}  // namespace
}  // namespace drpf::tunnel::wireguard_devices
