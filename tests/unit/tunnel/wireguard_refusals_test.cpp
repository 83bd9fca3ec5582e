// Handshakes that come to nothing, and handshakes that somebody recorded.
#include "tunnel/wireguard/engine.h"

#include <gtest/gtest.h>

#include "engine_pair.h"
#include "system/socket_address.h"

namespace drpf::test {
namespace {

// Somebody sends again, from elsewhere, what he recorded a second before the engine was killed.
TEST_F(EnginePair, ARecordedInitiationAfterARestartMovesNothing) {
  start({}, {.require_admission = true});
  const auto key = crypto::x25519_public(a_key);
  a->put(make_packet({.udp = true}));
  ASSERT_TRUE(eventually([&] { return b->count<PeerConnected>() == 1; })) << "it has answered from there";
  b->engine->admit(key, Address::v4(0x7f000001));
  ASSERT_TRUE(b->take());
  EXPECT_EQ(b->engine->status(key)->endpoint, a->endpoint());
  const auto recorded = a->io.sent().front();

  for (const bool require_admission : {true, false}) {
    b = std::make_unique<Node>(b_key, Node::Options{.require_admission = require_admission});
    auto peer = as_peer_of_b();
    peer.endpoint = a->endpoint();
    add(*b, peer);
    const system::Fd stranger(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto to = system::to_socket_address(b->endpoint());
    ASSERT_EQ(::sendto(stranger.get(), recorded.data(), recorded.size(), 0, to.get(), to.size), static_cast<ssize_t>(recorded.size()));
    pollfd answered{stranger.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&answered, 1, 10'000), 1) << "it is answered: the other side may be what it says";
    b->engine->admit(key, Address::v4(0x7f000001));
    EXPECT_EQ(b->engine->status(key)->endpoint, a->endpoint());
    EXPECT_EQ(b->count<PeerConnected>(), 0U);
    EXPECT_FALSE(b->engine->status(key)->last_handshake);
  }
}

// Its clock was ahead once; by now it is right, and says so again and again.
TEST_F(EnginePair, AClockThatWasAheadIsToldAndForgottenWithItsPeer) {
  start();
  b = std::make_unique<Node>(b_key, Node::Options{.speed = 30});
  auto peer = as_peer_of_b();
  peer.last_timestamp.fill(0x41);
  add(*b, peer);
  a = std::make_unique<Node>(a_key, Node::Options{.speed = 30});
  add(*a, as_peer_of_a());
  const auto key = crypto::x25519_public(a_key);
  EXPECT_FALSE(b->engine->status(key)->refused);
  a->put(make_packet({.udp = true}));
  ASSERT_TRUE(eventually([&] { return b->engine->status(key)->refused.has_value(); }));
  const auto refused = *b->engine->status(key)->refused;
  EXPECT_EQ(refused.why, PeerRefusal::Why::old_stamp);
  EXPECT_LT(refused.stamp, peer.last_timestamp);
  ASSERT_TRUE(b->engine->remove_peer(key));
  peer.last_timestamp = {};
  add(*b, peer);
  EXPECT_TRUE(eventually([&] {
    a->put(make_packet({.udp = true}));
    return b->take(100).has_value();
  }));
  EXPECT_FALSE(b->engine->status(key)->refused);
}

TEST_F(EnginePair, ADeviceWithAnotherPresharedKeyIsTold) {
  start();
  b = std::make_unique<Node>(b_key, Node::Options{.speed = 30});
  auto peer = as_peer_of_b();
  peer.preshared_key.fill(9);
  add(*b, peer);
  a = std::make_unique<Node>(a_key, Node::Options{.speed = 30});
  add(*a, as_peer_of_a());
  a->put(make_packet({.udp = true}));
  const auto key = crypto::x25519_public(a_key);
  ASSERT_TRUE(eventually([&] { return b->engine->status(key)->refused.has_value(); }));
  EXPECT_EQ(b->engine->status(key)->refused->why, PeerRefusal::Why::never_proven);
}

TEST_F(EnginePair, HandshakesOfNobodyAreTold) {
  start();
  EXPECT_TRUE(b->engine->strangers().empty());
  ASSERT_TRUE(b->engine->remove_peer(crypto::x25519_public(a_key)));
  a->put(make_packet({.udp = true}));
  ASSERT_TRUE(eventually([&] { return b->engine->strangers().size() == 1; }));
  auto stranger = b->engine->strangers().front();
  EXPECT_EQ(stranger.why, StrangerRefusal::Why::unknown_key);
  EXPECT_EQ(stranger.public_key, crypto::x25519_public(a_key));
  EXPECT_EQ(stranger.from, a->endpoint());
  auto forged = a->io.sent().front();
  forged[forged.size() - 20] ^= 1;  // of its first code, which says whose key it is for
  const system::Fd sender(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto to = system::to_socket_address(b->endpoint());
  ASSERT_EQ(::sendto(sender.get(), forged.data(), forged.size(), 0, to.get(), to.size), static_cast<ssize_t>(forged.size()));
  ASSERT_TRUE(eventually([&] { return b->engine->strangers().size() == 2; }));
  EXPECT_EQ(b->engine->strangers().back().why, StrangerRefusal::Why::other_identity);
}

}  // namespace
}  // namespace drpf::test
