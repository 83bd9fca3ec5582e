// What is under way when a lease ends does not leave after the answer: not out of the TUN device's queue, not from a peer's staged packets,
// not from a batch that is being written. Each wall is also taken away, and the packets are then seen.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>

#include "tunnel/wireguard/closed_flows.h"
#include "unit/tunnel/engine_pair.h"

namespace drpf::test {
namespace {

using wireguard::ClosedFlows;

constexpr std::uint16_t ended_port = 80;
constexpr std::uint16_t other_port = 81;
constexpr int packets_each = 100;

const ClosedFlow ended{Address::v4(0x0a000009), Protocol::udp, Port(ended_port)};

class FenceTest : public EnginePair {
 protected:
  // While the gate is closed the sender finds nothing to read, as if it had not come to it yet.
  void close_gate() {
    gate_open_ = false;
    a->io.set_read_tun([this](std::size_t) { return gate_open_.load() ? 0 : EINTR; });
  }
  void open_gate() { gate_open_ = true; }

  void put_both_ports() {
    for (int i = 0; i < packets_each; ++i) {
      a->put(make_packet({.udp = true, .destination_port = ended_port}));
      a->put(make_packet({.udp = true, .destination_port = other_port}));
    }
  }
  static std::size_t count_to(const std::vector<Bytes>& packets, std::uint16_t port) {
    return static_cast<std::size_t>(
        std::count_if(packets.begin(), packets.end(), [&](const Bytes& packet) { return load_be16(packet.data() + 22) == port; }));
  }
  bool settled() {
    return eventually([&] { return a->engine->fenced_flows() == 0; });
  }

  std::atomic<bool> gate_open_{false};
};

TEST_F(FenceTest, WhatWaitsInTheQueueOfTheDeviceIsNotSentAfterTheFence) {
  start();
  expect_passes(*a, *b, make_packet({.udp = true}));
  close_gate();
  put_both_ports();
  ASSERT_TRUE(a->engine->fence({&ended, 1}));
  // A packet that another processor had under way comes later still.
  a->put(make_packet({.udp = true, .destination_port = ended_port}));
  open_gate();
  const auto arrived = b->take_packets(packets_each + 1, 300);
  EXPECT_EQ(count_to(arrived, ended_port), 0U);
  EXPECT_EQ(count_to(arrived, other_port), static_cast<std::size_t>(packets_each));
  EXPECT_EQ(a->counter("lease_ended"), packets_each + 1U);
}

TEST_F(FenceTest, WithoutTheFenceTheQueueIsSentAfterTheAnswer) {
  start({.fence = false});
  expect_passes(*a, *b, make_packet({.udp = true}));
  close_gate();
  put_both_ports();
  ASSERT_TRUE(a->engine->fence({&ended, 1}));
  open_gate();
  EXPECT_EQ(count_to(b->take_packets(2 * packets_each, 1000), ended_port), static_cast<std::size_t>(packets_each));
}

TEST_F(FenceTest, TheNextHolderOfThePortIsReachedWhenTheQueueHasBeenEmpty) {
  start();
  expect_passes(*a, *b, make_packet({.udp = true}));
  ASSERT_TRUE(a->engine->fence({&ended, 1}));
  ASSERT_TRUE(settled());
  expect_passes(*a, *b, make_packet({.udp = true, .destination_port = ended_port}));
}

TEST_F(FenceTest, WhatWaitsForAHandshakeIsThrownAway) {
  start({.speed = 20});
  ASSERT_TRUE(b->engine->remove_peer(crypto::x25519_public(a_key)));  // nobody answers yet
  put_both_ports();
  ASSERT_TRUE(eventually([&] { return a->counter("staged_dropped") == 2 * packets_each - 128; }));
  ASSERT_TRUE(a->engine->fence({&ended, 1}));
  ASSERT_TRUE(settled());
  EXPECT_EQ(a->counter("lease_ended"), 64U);
  add(*b, as_peer_of_b());
  a->engine->initiate(crypto::x25519_public(b_key));
  const auto arrived = b->take_packets(64, 10'000);
  EXPECT_EQ(count_to(arrived, other_port), 64U);
}

TEST_F(FenceTest, ABatchThatIsBeingWrittenToTheDeviceIsWaitedFor) {
  for (const bool fence : {true, false}) {
    start({.fence = fence});
    expect_passes(*a, *b, make_packet({.udp = true}));
    std::atomic<bool> writing{false};
    std::atomic<bool> written{false};
    a->io.set_write_tun([&](std::size_t) {
      writing = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(60));
      written = true;
      return 0;
    });
    b->put(back(make_packet({.udp = true})));
    ASSERT_TRUE(eventually([&] { return writing.load(); }));
    ASSERT_TRUE(a->engine->fence({&ended, 1}));
    EXPECT_EQ(written.load(), fence);
    ASSERT_TRUE(a->take());
  }
}

TEST_F(FenceTest, ManyEndAtOnceAndAgain) {
  start();
  expect_passes(*a, *b, make_packet({.udp = true}));
  for (int round = 0; round < 20; ++round) {
    std::vector<ClosedFlow> flows;
    for (std::uint16_t port = 0; port < 500; ++port)
      flows.push_back({Address::v4(0x0a000009), Protocol::udp, Port(static_cast<std::uint16_t>(10'000 + port))});
    // The sender comes to the queue only when both packets are in it: had it found the queue empty before, the fence would be over.
    close_gate();
    ASSERT_TRUE(a->engine->fence(flows));
    a->put(make_packet({.udp = true, .destination_port = 10'007}));
    a->put(make_packet({.udp = true, .destination_port = 9'999}));
    open_gate();
    const auto got = b->take();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->packet, make_packet({.udp = true, .destination_port = 9'999}));
  }
  EXPECT_TRUE(settled());
}

TEST(ClosedFlows, HoldsTheFlowAndWhatCannotBeToldApart) {
  const ClosedFlows closed({ended, {*parse_address("fd00::9"), Protocol::tcp, Port(ended_port)}});
  EXPECT_TRUE(closed.holds(make_packet({.udp = true, .destination_port = ended_port})));
  EXPECT_FALSE(closed.holds(make_packet({.udp = true, .destination_port = other_port})));
  EXPECT_FALSE(closed.holds(make_packet({.udp = false, .destination_port = ended_port})));  // TCP over IPv4
  EXPECT_TRUE(closed.holds(make_packet({.v6 = true, .udp = false, .destination_port = ended_port})));
  EXPECT_FALSE(closed.holds(make_packet({.v6 = true, .udp = true, .destination_port = ended_port})));
  EXPECT_TRUE(closed.holds(make_packet({.udp = true, .destination_port = other_port, .fragment = 100})));  // a later fragment has no port
  EXPECT_FALSE(closed.holds(make_packet({.udp = false, .fragment = 100})));
  EXPECT_FALSE(closed.holds(Bytes{}));
  auto error = make_packet({.udp = true, .destination_port = other_port});
  error[9] = protocol_icmp;
  error[20] = 3;  // destination unreachable
  EXPECT_TRUE(closed.holds(error));
  error[20] = 8;  // an echo request is nobody's flow
  EXPECT_FALSE(closed.holds(error));
}

}  // namespace
}  // namespace drpf::test
