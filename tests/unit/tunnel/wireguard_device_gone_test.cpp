// Somebody deletes the TUN device under the engine, and it goes on with another one: sessions, counters and what waits stay.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>

#include "unit/tunnel/engine_pair.h"

namespace drpf::test {
namespace {

constexpr int packets_sent = 30;

class DeviceGone : public EnginePair {
 protected:
  void SetUp() override {
    start();
    expect_passes(*a, *b, packet);
  }
  const Bytes packet = make_packet({.udp = true});
};

TEST_F(DeviceGone, ADeletedDeviceIsToldOnceAndNotAskedAgain) {
  std::atomic<int> reads{0};
  a->io.set_read_tun([&](std::size_t) {
    ++reads;
    return EBADFD;
  });
  a->put(packet);
  ASSERT_TRUE(eventually([&] { return a->count<InterfaceGone>() == 1; }));
  EXPECT_EQ(std::get<InterfaceGone>(a->events().back()).error.code, "tun_gone");
  // The sender is woken and has other things to do; a fence does not wait for a queue that has gone.
  const ClosedFlow ended{Address::v4(0x0a000009), Protocol::udp, Port(80)};
  ASSERT_TRUE(a->engine->fence({&ended, 1}));
  ASSERT_TRUE(eventually([&] { return a->engine->fenced_flows() == 0; }));
  EXPECT_EQ(reads, 1);
  EXPECT_EQ(a->count<InterfaceGone>(), 1U);
  EXPECT_EQ(a->count<EngineFailed>(), 0U);
  a->io.set_read_tun({});
}

TEST_F(DeviceGone, WhatArrivesWhileTheDeviceIsGoneIsCountedAndNoFailure) {
  b->io.set_write_tun([](std::size_t) { return EBADFD; });
  for (int i = 0; i < packets_sent; ++i) a->put(packet);
  EXPECT_TRUE(eventually([&] { return b->counter("tun_write_failed") == packets_sent; }));
  EXPECT_EQ(b->counter("tun_tso_given_up"), 0U);
  EXPECT_EQ(b->count<EngineFailed>(), 0U);
  b->io.set_write_tun({});
  expect_passes(*a, *b, packet);
}

TEST_F(DeviceGone, AnotherDeviceGoesOnWithTheSessionsOfTheOneThatIsGone) {
  const auto before = a->engine->status(crypto::x25519_public(b_key));
  for (std::size_t round = 1; round <= 20; ++round) {
    a->io.set_read_tun([](std::size_t) { return EBADFD; });
    a->put(packet);
    ASSERT_TRUE(eventually([&] { return a->count<InterfaceGone>() == round; }));
    a->io.set_read_tun({});
    ASSERT_TRUE(a->replace_tun());
    expect_passes(*a, *b, packet);
    expect_passes(*b, *a, back(packet));
  }
  const auto after = a->engine->status(crypto::x25519_public(b_key));
  ASSERT_TRUE(before && after);
  EXPECT_EQ(after->last_handshake, before->last_handshake);
  EXPECT_GT(after->bytes_sent, before->bytes_sent);
  EXPECT_EQ(a->count<PeerConnected>(), 1U);
  expect_no_counter_used_twice();
}

TEST_F(DeviceGone, ADeviceIsReplacedBeforeAnybodyHasMissedIt) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(a->replace_tun());
    expect_passes(*a, *b, packet);
  }
  EXPECT_EQ(a->count<InterfaceGone>(), 0U);
  expect_no_counter_used_twice();
}

TEST_F(DeviceGone, WhatWaitsForAHandshakeOutlivesTheDevice) {
  reconnect_a();
  std::atomic<bool> silent{true};
  a->io.set_send([&](std::size_t) { return silent ? ENETUNREACH : 0; });
  a->io.set_send_many([&](std::size_t) { return silent ? ENETUNREACH : 0; });
  a->put(packet);
  ASSERT_TRUE(eventually([&] { return a->counter("send_failed") > 0; }));
  a->io.set_read_tun([](std::size_t) { return EBADFD; });
  a->put(packet);
  ASSERT_TRUE(eventually([&] { return a->count<InterfaceGone>() == 1; }));
  a->io.set_read_tun({});
  ASSERT_TRUE(a->replace_tun());
  silent = false;
  a->engine->initiate(crypto::x25519_public(b_key));
  const auto got = b->take();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->packet, packet);
  a->io.set_send({});
  a->io.set_send_many({});
}

}  // namespace
}  // namespace drpf::test
