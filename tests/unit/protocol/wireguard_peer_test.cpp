// Handshakes between two WireGuard peers: roles, slots, replays, restarts and keys.
#include "protocol/wireguard/peer.h"

#include <gtest/gtest.h>

#include "core/encoding.h"
#include "wireguard_pair.h"

namespace drpf::protocol::wireguard::testing {
namespace {

constexpr auto initiation = MessageType::initiation;
constexpr auto response = MessageType::response;
constexpr auto data = MessageType::data;

bool lose_all(const Datagram&) { return true; }
bool lose_none(const Datagram&) { return false; }

// -- Slots --------------------------------------------------------------------------------------------------------------------------

TEST(WireguardPeer, BothEndsAgreeOnKeysAndIndices) {
  Pair pair;
  pair.connect();
  const auto& a = pair.a.sending_session().facts;
  const auto& b = pair.b.sending_session().facts;
  EXPECT_EQ(a.send_key.bytes(), b.receive_key.bytes());
  EXPECT_EQ(a.receive_key.bytes(), b.send_key.bytes());
  EXPECT_NE(a.send_key.bytes(), a.receive_key.bytes());
  EXPECT_EQ(a.remote_index, b.local_index);
  EXPECT_EQ(b.remote_index, a.local_index);
  EXPECT_TRUE(a.facts.initiator);
  EXPECT_FALSE(b.facts.initiator);
  EXPECT_EQ(pair.a.peer().last_handshake(), pair.clock.wall - 2 * pair.latency) << "when the response came";
}

TEST(WireguardPeer, TheResponderIsSilentUntilTheFirstDataOfTheInitiator) {
  Pair pair;
  pair.loses = [&](const Datagram& datagram) { return datagram.from == pair.a.address() && datagram.type() == data; };
  pair.a.initiate();
  pair.settle();
  ASSERT_EQ(pair.b.sessions().size(), 1U);
  EXPECT_FALSE(pair.b.sending());
  EXPECT_FALSE(pair.b.peer().last_handshake());
  pair.b.send_data();
  pair.settle();
  EXPECT_EQ(pair.count(pair.b, data), 0U);
  EXPECT_EQ(pair.b.staged(), 1U);
  pair.loses = lose_none;
  pair.a.send_data();
  pair.settle();
  EXPECT_TRUE(pair.b.sending());
  EXPECT_TRUE(pair.b.peer().last_handshake());
  EXPECT_EQ(pair.a.data_received, 1U) << "what waited goes out";
}

TEST(WireguardPeer, TheResponderGoesOnWithTheOldSessionWhileTheNextIsUnconfirmed) {
  Pair pair;
  pair.connect();
  const auto old_session = pair.b.sending();
  pair.run(seconds(10));
  pair.loses = [&](const Datagram& datagram) { return datagram.from == pair.a.address() && datagram.type() == data; };
  pair.a.initiate();
  pair.settle();
  EXPECT_EQ(pair.b.sending(), old_session);
  pair.b.send_data();
  pair.settle();
  EXPECT_EQ(pair.a.data_received, 1U) << "a still accepts on its previous session";
  pair.loses = lose_none;
  pair.a.send_data();
  pair.settle();
  EXPECT_NE(pair.b.sending(), old_session);
  EXPECT_EQ(pair.b.sessions().size(), 2U);
}

TEST(WireguardPeer, ThePreviousSessionStillReceivesAfterARekey) {
  Pair pair;
  pair.connect();
  pair.run(seconds(10));
  // A packet under the old keys that the link holds back.
  pair.loses = lose_all;
  pair.a.send_data();
  pair.settle();
  const auto late = pair.last(pair.a, data);
  pair.loses = lose_none;
  pair.a.initiate();
  pair.settle();
  pair.b.receive(late);
  EXPECT_EQ(pair.b.data_received, 1U);
  EXPECT_EQ(pair.a.new_sessions, 2U);
}

TEST(WireguardPeer, AResponderGivesUpThePreviousSessionForTheNext) {
  Pair pair;
  pair.connect();
  pair.run(seconds(6));
  pair.a.initiate();
  pair.settle();
  EXPECT_EQ(pair.b.sessions().size(), 2U) << "current and previous";
  const auto current = *pair.b.sending();
  pair.run(seconds(6));
  pair.loses = [&](const Datagram& datagram) { return datagram.from == pair.a.address() && datagram.type() == data; };
  pair.a.initiate();
  pair.settle();
  EXPECT_EQ(pair.b.sessions().size(), 2U) << "next and current";
  EXPECT_TRUE(pair.b.sessions().contains(current));
}

TEST(WireguardPeer, AtMostThreeSessionsExistHoweverOftenOneRekeys) {
  Pair pair;
  for (int i = 0; i < 12; ++i) {
    pair.a.initiate();
    pair.settle();
    EXPECT_LE(pair.a.sessions().size(), 3U);
    EXPECT_LE(pair.b.sessions().size(), 3U);
    EXPECT_EQ(pair.a.indices().size(), pair.a.sessions().size());
    EXPECT_EQ(pair.b.indices().size(), pair.b.sessions().size());
    pair.run(seconds(6));
  }
  EXPECT_EQ(pair.a.new_sessions, 12U);
}

TEST(WireguardPeer, SimultaneousInitiationGivesBothASessionAndDataFlows) {
  PeerSettings knows_a;
  knows_a.endpoint = endpoint("192.0.2.1:51820");
  Pair pair(1, {}, knows_a);
  pair.a.send_data();
  pair.b.send_data();
  pair.settle();
  EXPECT_EQ(pair.count(pair.a, initiation), 1U);
  EXPECT_EQ(pair.count(pair.b, initiation), 1U);
  EXPECT_EQ(pair.a.data_received, 1U);
  EXPECT_EQ(pair.b.data_received, 1U);
  for (int i = 0; i < 20; ++i) {
    pair.a.send_data();
    pair.b.send_data();
    pair.run(seconds(1));
  }
  EXPECT_EQ(pair.a.data_received, 21U);
  EXPECT_EQ(pair.b.data_received, 21U);
  EXPECT_EQ(pair.count(pair.a, initiation) + pair.count(pair.b, initiation), 2U) << "it is settled";
}

TEST(WireguardPeer, SimultaneousInitiationWithOneResponseLostSettlesToo) {
  PeerSettings knows_a;
  knows_a.endpoint = endpoint("192.0.2.1:51820");
  for (const char* loser : {"192.0.2.1:51820", "192.0.2.2:51820"}) {
    Pair pair(1, {}, knows_a);
    pair.loses = [&](const Datagram& datagram) { return datagram.type() == response && datagram.from == endpoint(loser); };
    pair.a.send_data();
    pair.b.send_data();
    pair.run(seconds(20));
    EXPECT_EQ(pair.a.data_received, 1U) << loser;
    EXPECT_EQ(pair.b.data_received, 1U) << loser;
    EXPECT_EQ(pair.a.indices().size(), pair.a.sessions().size()) << "no handshake is left half done";
    EXPECT_EQ(pair.b.indices().size(), pair.b.sessions().size());
  }
}

// -- Replays and duplicates ---------------------------------------------------------------------------------------------------------

TEST(WireguardPeer, AReplayedInitiationIsRefused) {
  Pair pair;
  pair.connect();
  pair.run(seconds(1));
  const auto sessions = pair.b.new_sessions;
  const auto sending = pair.b.sending();
  auto replay = pair.last(pair.a, initiation);
  replay.from = endpoint("203.0.113.66:666");
  pair.b.receive(replay);
  pair.settle();
  EXPECT_EQ(pair.b.drops, std::vector{DropReason::replayed_timestamp});
  EXPECT_EQ(pair.b.new_sessions, sessions);
  EXPECT_EQ(pair.b.sending(), sending);
  EXPECT_EQ(pair.b.peer().endpoint(), pair.a.address()) << "a replay moves nothing";
  EXPECT_EQ(pair.count(pair.b, response), 1U);
}

TEST(WireguardPeer, AnOlderInitiationAfterANewerOneIsRefused) {
  Pair pair;
  pair.loses = lose_all;
  pair.a.initiate();
  pair.run(seconds(6));
  const auto sent = pair.sent_by(pair.a, initiation);
  ASSERT_EQ(sent.size(), 2U);
  pair.b.receive(sent[1]);
  pair.run(seconds(1));
  pair.b.receive(sent[0]);
  EXPECT_EQ(pair.b.drops, std::vector{DropReason::replayed_timestamp});
}

TEST(WireguardPeer, ADuplicateResponseMakesNoSecondSession) {
  Pair pair;
  pair.connect();
  const auto sending = pair.a.sending();
  pair.a.receive(pair.last(pair.b, response));
  pair.settle();
  EXPECT_EQ(pair.a.new_sessions, 1U);
  EXPECT_EQ(pair.a.sending(), sending);
  EXPECT_EQ(pair.a.drops, std::vector{DropReason::unknown_index});
}

TEST(WireguardPeer, AResponseToASupersededInitiationIsRefused) {
  Pair pair;
  pair.loses = [&](const Datagram& datagram) { return datagram.type() == response; };
  pair.a.initiate();
  pair.settle();
  const auto first_response = pair.last(pair.b, response);
  pair.run(seconds(6));
  ASSERT_EQ(pair.count(pair.a, initiation), 2U);
  pair.a.receive(first_response);
  EXPECT_EQ(pair.a.new_sessions, 0U);
  EXPECT_EQ(pair.a.drops, std::vector{DropReason::unknown_index});
}

TEST(WireguardPeer, AForgedResponseDoesNotEndTheHandshake) {
  Pair pair;
  pair.loses = [&](const Datagram& datagram) { return datagram.type() == response; };
  pair.a.initiate();
  pair.settle();
  const auto true_response = pair.last(pair.b, response);
  auto message = *decode_response(true_response.bytes);
  message.noise[40] ^= 1;
  auto forged = true_response;
  forged.bytes = encode(message);
  MacSigner(pair.identity_a.public_key).sign(forged.bytes, pair.clock.now);
  pair.a.receive(forged);
  EXPECT_EQ(pair.a.drops, std::vector{DropReason::not_authentic});
  EXPECT_EQ(pair.a.new_sessions, 0U);
  pair.a.receive(true_response);
  EXPECT_EQ(pair.a.new_sessions, 1U);
}

TEST(WireguardPeer, AReplayedDataPacketIsNoNews) {
  Pair pair;
  pair.connect();
  pair.a.send_data();
  pair.settle();
  auto replay = pair.last(pair.a, data);
  replay.from = endpoint("203.0.113.66:666");
  pair.b.receive(replay);
  EXPECT_EQ(pair.b.data_received, 1U);
  EXPECT_EQ(pair.b.peer().endpoint(), pair.a.address());
}

TEST(WireguardPeer, AcceptsAtMostFiftyInitiationsPerSecond) {
  Pair pair;
  std::size_t accepted = 0;
  for (int i = 0; i < 300; ++i) {
    // Fresh initiations with rising stamps, as a peer with a broken timer would send them: each from a new process of a.
    PeerSettings settings = pair.settings_of_a;
    settings.sent_timestamp = pair.a.peer().sent_timestamp();
    pair.a.restart(settings);
    pair.a.initiate();
    const auto message = pair.a.outbox.back();
    pair.a.outbox.clear();
    const auto before = pair.b.new_sessions;
    pair.b.receive(message);
    accepted += pair.b.new_sessions - before;
    pair.clock.advance(milliseconds(5));
  }
  EXPECT_EQ(accepted, 75U);  // 1.5 s
  EXPECT_LE(pair.b.sessions().size(), 3U);
  EXPECT_EQ(std::ranges::count(pair.b.drops, DropReason::too_many_initiations), 225);
}

TEST(WireguardPeer, AnInitiationRefusedForItsRateMayBeRepeatedLater) {
  Pair pair;
  pair.a.initiate();
  pair.settle();
  PeerSettings settings = pair.settings_of_a;
  settings.sent_timestamp = pair.a.peer().sent_timestamp();
  pair.a.restart(settings);
  pair.b.drops.clear();
  pair.a.initiate();
  const auto message = pair.a.outbox.back();
  pair.clock.now -= milliseconds(35);  // close behind the first one
  pair.b.receive(message);
  EXPECT_EQ(pair.b.drops, std::vector{DropReason::too_many_initiations});
  pair.clock.now += seconds(1);
  pair.b.receive(message);
  EXPECT_EQ(pair.b.new_sessions, 2U);
}

// -- Restarts -----------------------------------------------------------------------------------------------------------------------

TEST(WireguardPeer, AResponderThatRestartedStillRefusesOldInitiations) {
  Pair pair;
  pair.connect();
  const auto old_message = pair.last(pair.a, initiation);
  auto settings = pair.settings_of_b;
  settings.last_timestamp = pair.b.peer().last_timestamp();
  EXPECT_NE(settings.last_timestamp, Timestamp{});
  pair.b.restart(settings);
  pair.b.receive(old_message);
  EXPECT_EQ(pair.b.drops, std::vector{DropReason::replayed_timestamp});
  EXPECT_TRUE(pair.b.sessions().empty());
}

TEST(WireguardPeer, AnInitiatorThatRestartedWithAnOlderClockIsRefusedUnlessItRemembersItsStamps) {
  Pair pair;
  pair.connect();
  pair.run(seconds(10));
  auto settings = pair.settings_of_a;
  const auto remembered = pair.a.peer().sent_timestamp();
  pair.clock.wall -= std::chrono::hours(24);
  pair.a.restart(settings);
  pair.a.initiate();
  pair.settle();
  EXPECT_EQ(pair.b.drops, std::vector{DropReason::replayed_timestamp});
  EXPECT_FALSE(pair.a.sending());
  settings.sent_timestamp = remembered;
  pair.a.restart(settings);
  pair.a.initiate();
  pair.settle();
  EXPECT_TRUE(pair.a.sending());
}

TEST(WireguardPeer, StampsGrowWhenTheWallClockIsSetBackWhileRunning) {
  Pair pair;
  pair.connect();
  pair.clock.wall -= std::chrono::hours(24);
  for (int i = 0; i < 3; ++i) {
    pair.run(seconds(6));
    pair.a.initiate();
    pair.settle();
  }
  EXPECT_EQ(pair.a.new_sessions, 4U);
  EXPECT_TRUE(pair.b.drops.empty());
}

TEST(WireguardPeer, EitherSideMayRestartAndTrafficComesBack) {
  Pair pair;
  pair.connect();
  pair.run(seconds(10));
  auto settings = pair.settings_of_b;
  settings.last_timestamp = pair.b.peer().last_timestamp();
  pair.b.restart(settings);
  // a does not know; its data goes unanswered, and after 15 s it asks anew.
  pair.a.send_data();
  pair.run(seconds(17));
  EXPECT_TRUE(pair.b.sending());
  pair.a.restart(pair.settings_of_a);
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.b.data_received, 1U);
}

// -- Keys ---------------------------------------------------------------------------------------------------------------------------

TEST(WireguardPeer, Regression11_APresharedKeyChangeIsLiveAndDropsNoSession) {
  Pair pair;
  pair.connect();
  crypto::Key32 bytes{};
  bytes.fill(7);
  const crypto::SecretKey secret(bytes);
  pair.run(seconds(10));
  pair.a.peer().set_preshared_key(secret);
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.b.data_received, 1U) << "the session goes on";
  pair.a.initiate();
  pair.settle();
  EXPECT_EQ(pair.a.new_sessions, 1U) << "the next handshake fails while only one side has the key";
  EXPECT_EQ(pair.a.drops, std::vector{DropReason::not_authentic});
  pair.b.peer().set_preshared_key(secret);
  pair.run(seconds(6));
  EXPECT_EQ(pair.a.new_sessions, 2U) << "and the retry succeeds";
  pair.a.peer().set_preshared_key({});
  pair.b.peer().set_preshared_key({});
  pair.run(seconds(6));
  pair.a.initiate();
  pair.settle();
  EXPECT_EQ(pair.a.new_sessions, 3U) << "clearing it is a change, too";
}

TEST(WireguardPeer, APresharedKeySetWhileAHandshakeIsUnderWayCountsForItsResponse) {
  Pair pair;
  crypto::Key32 bytes{};
  bytes.fill(9);
  pair.b.peer().set_preshared_key(crypto::SecretKey(bytes));
  pair.a.initiate();
  pair.a.peer().set_preshared_key(crypto::SecretKey(bytes));
  pair.settle();
  EXPECT_EQ(pair.a.new_sessions, 1U);
}

TEST(WireguardPeer, APeerWithOurOwnKeyNeverSpeaks) {
  FakeClock clock;
  SeededRandom random(5);
  const auto identity = Identity::from_private(crypto::generate_private_key(random));
  PeerSettings settings;
  settings.public_key = identity.public_key;
  settings.endpoint = endpoint("192.0.2.2:51820");
  settings.persistent_keepalive = seconds(1);
  Side side(clock, identity, settings, endpoint("192.0.2.1:51820"), 5);
  EXPECT_FALSE(side.peer().can_handshake());
  side.start();
  side.send_data();
  for (int i = 0; i < 300; ++i) {
    clock.advance(seconds(1));
    side.timeout();
  }
  EXPECT_TRUE(side.outbox.empty());
}

TEST(WireguardPeer, TheSevenLowOrderPublicKeysEmitNoPacket) {
  for (const char* text : {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                           "7P///////////////////////////////////////38=", "7f///////////////////////////////////////38=",
                           "7v///////////////////////////////////////38=", "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=",
                           "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc="}) {
    FakeClock clock;
    SeededRandom random(5);
    PeerSettings settings;
    const auto bytes = *from_base64(text);
    ASSERT_EQ(bytes.size(), 32U);
    std::copy(bytes.begin(), bytes.end(), settings.public_key.begin());
    settings.endpoint = endpoint("192.0.2.2:51820");
    settings.persistent_keepalive = seconds(1);
    Side side(clock, Identity::from_private(crypto::generate_private_key(random)), settings, endpoint("192.0.2.1:51820"), 5);
    EXPECT_FALSE(side.peer().can_handshake());
    side.start();
    side.send_data();
    side.initiate();
    for (int i = 0; i < 200; ++i) {
      clock.advance(seconds(1));
      side.send_data();
      side.timeout();
    }
    EXPECT_TRUE(side.outbox.empty()) << text;
    EXPECT_EQ(side.indices().size(), 0U);
  }
}

TEST(WireguardPeer, ALowOrderEphemeralKeyIsRefused) {
  Pair pair;
  auto message = Initiation{};
  message.sender = 1;
  auto bytes = encode(message);
  MacSigner(pair.identity_b.public_key).sign(bytes, pair.clock.now);
  EXPECT_FALSE(ReceivedInitiation::open(pair.identity_b, bytes));
  pair.b.receive({pair.clock.now, pair.a.address(), pair.b.address(), bytes});
  EXPECT_EQ(pair.b.drops, std::vector{DropReason::not_authentic});
  EXPECT_TRUE(pair.b.outbox.empty());
}

TEST(WireguardPeer, AStrangerWithAGoodMac1GetsNoAnswer) {
  Pair pair;
  Pair stranger(99);
  PeerSettings settings;
  settings.public_key = pair.identity_b.public_key;
  settings.endpoint = pair.b.address();
  Side other(pair.clock, stranger.identity_a, settings, endpoint("203.0.113.9:1"), 3);
  other.initiate();
  pair.b.receive(other.outbox.back());
  EXPECT_EQ(pair.b.drops, std::vector{DropReason::unknown_key});
  EXPECT_TRUE(pair.b.outbox.empty());
  EXPECT_FALSE(pair.b.peer().endpoint());
}

// -- Reports that come late ---------------------------------------------------------------------------------------------------------

TEST(WireguardPeer, DataRefusedForAnOldSessionIsFlushedIfANewOneIsThere) {
  Pair pair;
  pair.connect();
  const auto old_session = pair.a.sending();
  pair.run(seconds(10));
  pair.a.initiate();
  pair.settle();
  const auto actions = pair.a.peer().on_data_staged(old_session, pair.clock.moment(), pair.a.random());
  ASSERT_EQ(actions.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<FlushStaged>(actions[0]));
}

TEST(WireguardPeer, DataRefusedForTheCurrentSessionStartsAHandshake) {
  Pair pair;
  pair.connect();
  pair.run(seconds(10));
  const auto actions = pair.a.peer().on_data_staged(pair.a.sending(), pair.clock.moment(), pair.a.random());
  ASSERT_EQ(actions.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<SendDatagram>(actions[0]));
}

TEST(WireguardPeer, ReportsAboutSessionsThatAreGoneChangeNothing) {
  Pair pair;
  pair.connect();
  pair.a.perform(pair.a.peer().stop());
  EXPECT_EQ(pair.a.indices().size(), 0U);
  BatchReceived received;
  received.local_index = 12345;
  received.data = true;
  received.from = endpoint("203.0.113.66:666");
  EXPECT_TRUE(pair.a.peer().on_batch_received(received, pair.clock.moment(), pair.a.random()).empty());
  BatchSent sent;
  sent.local_index = 12345;
  sent.data = true;
  EXPECT_TRUE(pair.a.peer().on_batch_sent(sent, pair.clock.moment(), pair.a.random()).empty());
  EXPECT_FALSE(pair.a.peer().next_timeout());
  EXPECT_EQ(pair.a.peer().endpoint(), pair.b.address());
}

TEST(WireguardPeer, StopRetiresEverySession) {
  Pair pair;
  pair.connect();
  pair.run(seconds(10));
  pair.a.initiate();
  pair.settle();
  EXPECT_EQ(pair.a.sessions().size(), 2U);
  pair.a.perform(pair.a.peer().stop());
  EXPECT_TRUE(pair.a.sessions().empty());
  EXPECT_FALSE(pair.a.peer().next_timeout());
}

// -- A bad link ---------------------------------------------------------------------------------------------------------------------

TEST(WireguardPeer, KeepsATunnelUpForAnHourOverALinkThatLosesAThird) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 dice(seed);
  PeerSettings knows_a;
  knows_a.endpoint = endpoint("192.0.2.1:51820");
  Pair pair(seed, {}, knows_a);
  pair.loses = [&](const Datagram&) { return dice() % 3 == 0; };
  std::size_t rounds_with_data = 0;
  for (int i = 0; i < 360; ++i) {
    const auto before = pair.a.data_received + pair.b.data_received;
    for (int n = 0; n < 4; ++n) {
      pair.a.send_data();
      pair.b.send_data();
      pair.run(milliseconds(2500));
    }
    if (pair.a.data_received + pair.b.data_received > before) ++rounds_with_data;
    ASSERT_LE(pair.a.sessions().size(), 3U);
    ASSERT_LE(pair.b.sessions().size(), 3U);
    ASSERT_LE(pair.a.indices().size(), 4U);
    ASSERT_LE(pair.b.indices().size(), 4U);
  }
  EXPECT_GT(rounds_with_data, 340U);
  EXPECT_LT(pair.count(pair.a, initiation) + pair.count(pair.b, initiation), 240U);
}

}  // namespace
}  // namespace drpf::protocol::wireguard::testing
