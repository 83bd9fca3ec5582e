// Where a WireGuard peer is believed to be, and what it must prove while the other side is under load.
#include <gtest/gtest.h>

#include "wireguard_pair.h"

namespace drpf::protocol::wireguard::testing {
namespace {

constexpr auto initiation = MessageType::initiation;
constexpr auto response = MessageType::response;
constexpr auto cookie_reply = MessageType::cookie_reply;

// -- Endpoints ----------------------------------------------------------------------------------------------------------------------

TEST(WireguardPeer, TheResponderLearnsTheEndpointFromTheFirstPacketOfTheSession) {
  Pair pair;
  EXPECT_FALSE(pair.b.peer().endpoint());
  pair.a.initiate();
  pair.settle();
  EXPECT_EQ(pair.b.peer().endpoint(), pair.a.address());
}

// It may have been recorded a second before this side was killed, and its stamp never written down.
TEST(WireguardPeer, AnInitiationByItselfMovesNothing) {
  Pair pair;
  pair.connect();
  pair.run(seconds(130));
  pair.a.initiate();
  pair.settle();
  const auto recorded = pair.last(pair.a, initiation);
  auto settings = pair.settings_of_b;
  settings.endpoint = pair.a.address();
  pair.b.restart(settings);
  auto replayed = recorded;
  replayed.from = endpoint("203.0.113.66:666");
  pair.b.receive(replayed);
  EXPECT_EQ(pair.b.peer().endpoint(), pair.a.address());
  EXPECT_FALSE(pair.b.sending()) << "nothing is sent before the session is proven";
  pair.b.send_data();
  for (const auto& datagram : pair.b.outbox) EXPECT_TRUE(datagram.to == pair.a.address() || datagram.type() == response);
}

TEST(WireguardPeer, Regression5_RoamsOnAuthenticatedData) {
  Pair pair;
  pair.connect();
  for (const char* address : {"198.51.100.7:4500", "198.51.100.7:4501", "[2001:db8::7]:4501"}) {
    pair.a.move_to(endpoint(address));
    pair.a.send_data();
    pair.settle();
    EXPECT_EQ(pair.b.peer().endpoint(), endpoint(address));
    pair.b.send_data();
    pair.settle();
  }
  EXPECT_EQ(pair.a.data_received, 3U);
  EXPECT_EQ(pair.count(pair.b, initiation), 0U) << "no handshake is needed for it";
}

TEST(WireguardPeer, RoamsOnAKeepaliveToo) {
  Pair pair;
  pair.connect();
  pair.a.move_to(endpoint("198.51.100.7:4500"));
  pair.b.send_data();
  pair.a.receive({pair.clock.now, pair.b.address(), pair.a.address(), pair.b.outbox.back().bytes});
  pair.b.outbox.clear();
  pair.run(seconds(11));  // a's passive keepalive
  EXPECT_EQ(pair.b.peer().endpoint(), pair.a.address());
}

// Regression 4: a cookie reply proves nothing about where the peer is.
TEST(WireguardPeer, Regression4_DoesNotRoamOnCookieReplies) {
  Pair pair;
  pair.b.handshake_queue = under_load_from;
  pair.loses = [&](const Datagram& datagram) { return datagram.type() == cookie_reply; };
  pair.a.initiate();
  pair.settle();
  auto reply = pair.last(pair.b, cookie_reply);
  reply.from = endpoint("203.0.113.66:666");
  pair.a.receive(reply);
  EXPECT_TRUE(pair.a.drops.empty()) << "the cookie itself is good";
  EXPECT_EQ(pair.a.peer().endpoint(), pair.b.address());
}

// -- Cookies ------------------------------------------------------------------------------------------------------------------------

TEST(WireguardPeer, Regression14_UnderLoadTheRetryWithACookieGetsThrough) {
  Pair pair;
  pair.b.handshake_queue = under_load_from;
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.count(pair.b, cookie_reply), 1U);
  EXPECT_EQ(pair.count(pair.b, response), 0U);
  EXPECT_EQ(pair.count(pair.a, initiation), 1U) << "a cookie reply makes nobody send at once";
  pair.run(seconds(6));
  EXPECT_EQ(pair.count(pair.a, initiation), 2U);
  EXPECT_EQ(pair.b.data_received, 1U);
}

TEST(WireguardPeer, ResponsesNeedACookieUnderLoadAsWell) {
  Pair pair;
  pair.a.handshake_queue = under_load_from;
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.count(pair.a, cookie_reply), 1U);
  pair.run(seconds(6));
  EXPECT_EQ(pair.b.data_received, 1U);
}

TEST(WireguardPeer, EstablishedTrafficNeedsNoCookie) {
  Pair pair;
  pair.connect();
  pair.b.handshake_queue = handshake_queue_max;
  pair.a.handshake_queue = handshake_queue_max;
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.b.data_received, 1U);
  EXPECT_EQ(pair.count(pair.b, cookie_reply), 0U);
}

TEST(WireguardPeer, AnUnaskedCookieReplyIsRefused) {
  Pair pair;
  pair.connect();
  CookieReply reply;
  reply.receiver = *pair.a.sending();
  pair.a.receive({pair.clock.now, pair.b.address(), pair.a.address(), encode(reply)});
  EXPECT_EQ(pair.a.drops, std::vector{DropReason::unexpected_cookie});
}

}  // namespace
}  // namespace drpf::protocol::wireguard::testing
