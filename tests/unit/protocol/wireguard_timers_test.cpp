// Every timer of a WireGuard peer, on a fake clock.
#include <gtest/gtest.h>

#include <set>

#include "wireguard_pair.h"

namespace drpf::protocol::wireguard::testing {
namespace {

constexpr auto initiation_type = MessageType::initiation;
constexpr auto response_type = MessageType::response;
constexpr auto data_type = MessageType::data;

bool lose_all(const Datagram&) { return true; }
bool lose_none(const Datagram&) { return false; }

PeerSettings with_keepalive(Duration interval) {
  PeerSettings settings;
  settings.persistent_keepalive = interval;
  return settings;
}

// -- Handshake and its retries ------------------------------------------------------------------------------------------------------

TEST(WireguardTimers, StagedDataStartsAHandshakeAndGoesOutWithIt) {
  Pair pair;
  for (int i = 0; i < 3; ++i) pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.count(pair.a, initiation_type), 1U);
  EXPECT_EQ(pair.b.data_received, 3U);
  EXPECT_EQ(pair.b.keepalives_received, 0U) << "data confirms the session; no empty packet is needed";
  EXPECT_EQ(pair.a.staged(), 0U);
}

TEST(WireguardTimers, WithNothingStagedTheInitiatorConfirmsByAKeepaliveAtOnce) {
  Pair pair;
  pair.a.initiate();
  pair.settle();
  EXPECT_EQ(pair.b.keepalives_received, 1U);
  EXPECT_TRUE(pair.b.sending());
}

TEST(WireguardTimers, Regression10_RetriesComeEvery5SecondsPlusAJitterOfUpToAThird) {
  std::set<Duration> intervals;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Pair pair(seed);
    pair.loses = lose_all;
    pair.a.initiate();
    pair.run(seconds(90));
    const auto sent = pair.sent_by(pair.a, initiation_type);
    ASSERT_GT(sent.size(), 16U);
    for (std::size_t i = 1; i < sent.size(); ++i) {
      const auto interval = sent[i].at - sent[i - 1].at;
      EXPECT_GE(interval, seconds(5));
      EXPECT_LE(interval, seconds(5) + milliseconds(333));
      intervals.insert(interval);
    }
  }
  EXPECT_GT(intervals.size(), 100U);
  EXPECT_LT(*intervals.begin(), seconds(5) + milliseconds(33));
  EXPECT_GT(*intervals.rbegin(), seconds(5) + milliseconds(300));
}

TEST(WireguardTimers, EachRetryHasANewIndexANewEphemeralKeyAndALaterStamp) {
  Pair pair;
  pair.loses = lose_all;
  pair.a.initiate();
  pair.run(seconds(30));
  std::set<std::uint32_t> indices;
  std::set<Bytes> ephemerals;
  std::set<Bytes> whole;
  for (const auto& datagram : pair.sent_by(pair.a, initiation_type)) {
    const auto message = *decode_initiation(datagram.bytes);
    indices.insert(message.sender);
    ephemerals.insert(Bytes(message.noise.begin(), message.noise.begin() + 32));
  }
  EXPECT_EQ(indices.size(), pair.count(pair.a, initiation_type));
  EXPECT_EQ(ephemerals.size(), pair.count(pair.a, initiation_type));
  EXPECT_EQ(pair.a.indices().size(), 1U) << "only the last one may still be answered";
}

// The attempt limit is 90 s / 5 s = 18 and is exceeded after the first message and 19 repetitions, as in the reference implementations.
TEST(WireguardTimers, GivesUpAfterTwentyInitiationsAndDropsWhatWaited) {
  Pair pair;
  pair.loses = lose_all;
  for (int i = 0; i < 5; ++i) pair.a.send_data();
  const auto started = pair.clock.now;
  pair.run(seconds(99));
  EXPECT_EQ(pair.a.staged(), 5U);
  EXPECT_EQ(pair.a.staged_dropped, 0U);
  while (pair.a.staged_dropped == 0) {
    ASSERT_LT(pair.clock.now - started, seconds(120));
    pair.run(milliseconds(10));
  }
  EXPECT_GE(pair.clock.now - started, seconds(100));
  EXPECT_LE(pair.clock.now - started, 20 * (seconds(5) + milliseconds(333)) + milliseconds(10));
  EXPECT_EQ(pair.count(pair.a, initiation_type), handshake_attempts_max + 2);
  EXPECT_EQ(pair.a.staged_dropped, 5U);
  EXPECT_EQ(pair.a.sources_cleared, handshake_attempts_max + 1) << "each retry forgets the source address";
  pair.run(seconds(3600));
  EXPECT_EQ(pair.count(pair.a, initiation_type), handshake_attempts_max + 2) << "silent until somebody wants something";
  EXPECT_EQ(pair.a.indices().size(), 0U);
  EXPECT_FALSE(pair.a.peer().next_timeout());
}

TEST(WireguardTimers, NewDataAfterGivingUpStartsAgain) {
  Pair pair;
  pair.loses = lose_all;
  pair.a.send_data();
  pair.run(seconds(300));
  pair.loses = lose_none;
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.b.data_received, 1U);
}

TEST(WireguardTimers, NewDataGivesAHandshakeUnderWayItsFullTimeAgain) {
  Pair pair;
  pair.loses = lose_all;
  pair.a.send_data();
  pair.run(seconds(60));
  pair.a.send_data();
  pair.run(seconds(90));
  EXPECT_EQ(pair.a.staged(), 2U);
  pair.run(seconds(30));
  EXPECT_EQ(pair.a.staged_dropped, 2U);
}

TEST(WireguardTimers, AResponderWhoseSessionIsNeverConfirmedInitiatesForWhatWaits) {
  Pair pair;
  pair.loses = [&](const Datagram& datagram) { return datagram.from == pair.a.address() && datagram.type() == data_type; };
  pair.a.initiate();
  pair.settle();
  pair.b.send_data();  // within 5 s of its response, so it may not ask yet
  EXPECT_EQ(pair.count(pair.b, initiation_type), 0U);
  pair.run(seconds(6));
  EXPECT_EQ(pair.count(pair.b, initiation_type), 1U);
  EXPECT_EQ(pair.a.data_received, 1U);
}

TEST(WireguardTimers, AtMostOneInitiationPer5SecondsHoweverMuchIsWanted) {
  Pair pair;
  pair.loses = lose_all;
  for (int i = 0; i < 600; ++i) {
    pair.a.send_data();
    pair.a.initiate();
    pair.run(milliseconds(100));
  }
  const auto sent = pair.sent_by(pair.a, initiation_type);
  EXPECT_GE(sent.size(), 11U);
  for (std::size_t i = 1; i < sent.size(); ++i) EXPECT_GE(sent[i].at - sent[i - 1].at, seconds(5));
}

TEST(WireguardTimers, ALostInitiationOrResponseIsMadeUpFor) {
  for (const auto lost : {initiation_type, response_type}) {
    Pair pair;
    int count = 0;
    pair.loses = [&](const Datagram& datagram) { return datagram.type() == lost && count++ < 2; };
    pair.a.send_data();
    pair.run(seconds(16));
    EXPECT_EQ(pair.b.data_received, 1U);
    EXPECT_EQ(pair.count(pair.a, initiation_type), 3U);
  }
}

TEST(WireguardTimers, AResponseThatTakesSecondsIsStillAccepted) {
  for (const auto latency : {milliseconds(130), milliseconds(500), milliseconds(2400)}) {
    Pair pair;
    pair.latency = latency;
    pair.a.send_data();
    pair.run(4 * latency);
    EXPECT_EQ(pair.b.data_received, 1U) << latency.count() << " ms";
    EXPECT_EQ(pair.count(pair.a, initiation_type), 1U);
  }
}

TEST(WireguardTimers, CompletionEndsTheRetries) {
  Pair pair;
  pair.connect();
  pair.run(seconds(100));
  EXPECT_EQ(pair.count(pair.a, initiation_type), 1U);
  EXPECT_EQ(pair.count(pair.b, initiation_type), 0U);
}

TEST(WireguardTimers, WithoutAnEndpointNothingIsSentAndWhatWaitsIsDropped) {
  Pair pair;
  pair.b.send_data();
  pair.b.initiate();
  pair.run(seconds(60));
  EXPECT_TRUE(pair.log.empty());
  EXPECT_EQ(pair.b.staged_dropped, 1U);
}

// -- Keepalives ---------------------------------------------------------------------------------------------------------------------

TEST(WireguardTimers, AnsweredDataNeedsNoKeepalive) {
  Pair pair;
  pair.connect();
  const auto before = pair.count(pair.b, data_type);
  pair.a.send_data();
  pair.run(seconds(5));
  pair.b.send_data();
  pair.run(seconds(30));
  EXPECT_EQ(pair.count(pair.b, data_type), before + 1) << "b answered, so it owes nothing";
  EXPECT_TRUE(pair.last(pair.a, data_type).is_keepalive()) << "a received data and sent nothing after it";
}

TEST(WireguardTimers, Regression8_OneKeepalive10SecondsAfterDataWasReceivedAndNothingSent) {
  Pair pair;
  pair.connect();
  pair.run(seconds(30));
  const auto before = pair.log.size();
  pair.a.send_data();
  const auto received = pair.clock.now + pair.latency;
  pair.run(seconds(9));
  EXPECT_EQ(pair.log.size(), before + 1);
  pair.run(seconds(60));
  ASSERT_EQ(pair.log.size(), before + 2) << "the keepalive itself asks for no answer";
  EXPECT_TRUE(pair.log.back().is_keepalive());
  EXPECT_EQ(pair.log.back().at, received + seconds(10)) << "counted from the reception";
}

TEST(WireguardTimers, Regression8_TwoIdlePeersAreSilent) {
  Pair pair;
  pair.connect();
  pair.a.send_data();
  pair.b.send_data();
  pair.run(seconds(30));
  const auto before = pair.log.size();
  pair.run(seconds(3600));
  EXPECT_EQ(pair.log.size(), before);
}

TEST(WireguardTimers, OneKeepaliveAnswersAllDataThatCameBeforeIt) {
  Pair pair;
  pair.connect();
  const auto before = pair.count(pair.b, data_type);
  pair.a.send_data();
  pair.run(seconds(5));
  pair.a.send_data();
  pair.run(seconds(6));
  EXPECT_EQ(pair.count(pair.b, data_type), before + 1) << "10 s after the first packet, not put off by the second";
  pair.run(seconds(100));
  EXPECT_EQ(pair.count(pair.b, data_type), before + 1);
}

TEST(WireguardTimers, SteadyDataOneWayIsAnsweredByAKeepaliveEvery10Seconds) {
  Pair pair;
  pair.connect();
  const auto before = pair.count(pair.b, data_type);
  for (int i = 0; i < 100; ++i) {
    pair.a.send_data();
    pair.run(seconds(1));
  }
  const auto keepalives = pair.count(pair.b, data_type) - before;
  EXPECT_GE(keepalives, 9U);
  EXPECT_LE(keepalives, 10U);
  EXPECT_EQ(pair.count(pair.a, initiation_type), 1U);
}

TEST(WireguardTimers, PersistentKeepaliveIsSentEachIntervalOfSilence) {
  Pair pair(1, with_keepalive(seconds(25)), {});
  pair.a.start();
  pair.settle();
  EXPECT_EQ(pair.count(pair.a, initiation_type), 1U) << "the first one needs a session";
  const auto before = pair.sent_by(pair.a, data_type).size();
  pair.run(seconds(100));
  const auto sent = pair.sent_by(pair.a, data_type);
  ASSERT_EQ(sent.size() - before, 4U);
  for (std::size_t i = before; i < sent.size(); ++i) {
    EXPECT_TRUE(sent[i].is_keepalive());
    EXPECT_EQ(sent[i].at - sent[i - 1].at, seconds(25));
  }
}

TEST(WireguardTimers, Regression9_NoPersistentKeepaliveWhileTrafficFlowsInEitherDirection) {
  for (const bool outwards : {true, false}) {
    Pair pair(1, with_keepalive(seconds(25)), {});
    pair.a.start();
    pair.settle();
    for (int i = 0; i < 20; ++i) {
      (outwards ? pair.a : pair.b).send_data();
      pair.run(seconds(5));
    }
    const auto sent = pair.sent_by(pair.a, data_type);
    const auto keepalives = std::ranges::count_if(sent, &Datagram::is_keepalive);
    // The first one confirms the session. When a only receives, b's data asks for a passive keepalive, once in 10 s.
    EXPECT_EQ(keepalives, outwards ? 1 : 1 + 9);
    EXPECT_EQ(pair.count(pair.a, initiation_type), 1U);
  }
}

TEST(WireguardTimers, PersistentKeepaliveGoesOnWhenItCouldNotBeSent) {
  Pair pair(1, with_keepalive(seconds(25)), {});
  pair.a.start();
  pair.settle();
  pair.a.reports = false;  // as if the socket refused
  const auto before = pair.count(pair.a, data_type);
  pair.run(seconds(76));
  EXPECT_EQ(pair.count(pair.a, data_type) - before, 3U);
}

TEST(WireguardTimers, PersistentKeepaliveKeepsTryingToReachASilentPeer) {
  Pair pair(1, with_keepalive(seconds(25)), {});
  pair.loses = lose_all;
  pair.a.start();
  pair.run(seconds(600));
  pair.loses = lose_none;
  pair.run(seconds(31));
  EXPECT_TRUE(pair.b.sending());
}

TEST(WireguardTimers, TurningPersistentKeepaliveOnSendsOneAtOnce) {
  Pair pair;
  pair.connect();
  pair.run(seconds(30));
  const auto before = pair.count(pair.a, data_type);
  pair.a.perform(pair.a.peer().set_persistent_keepalive(seconds(10), pair.clock.moment(), pair.a.random()));
  pair.settle();
  EXPECT_EQ(pair.count(pair.a, data_type), before + 1);
  pair.run(seconds(10));
  EXPECT_EQ(pair.count(pair.a, data_type), before + 2);
  pair.a.perform(pair.a.peer().set_persistent_keepalive(seconds(0), pair.clock.moment(), pair.a.random()));
  pair.run(seconds(60));
  EXPECT_EQ(pair.count(pair.a, data_type), before + 2);
}

// -- A peer that does not answer ----------------------------------------------------------------------------------------------------

TEST(WireguardTimers, UnansweredDataStartsANewHandshakeAfter15Seconds) {
  Pair pair;
  pair.connect();
  pair.run(seconds(30));
  pair.loses = lose_all;
  pair.a.send_data();
  const auto sent = pair.clock.now;
  pair.run(seconds(14));
  EXPECT_EQ(pair.count(pair.a, initiation_type), 1U);
  const auto cleared = pair.a.sources_cleared;
  pair.run(milliseconds(1334));
  ASSERT_EQ(pair.count(pair.a, initiation_type), 2U);
  const auto after = pair.last(pair.a, initiation_type).at - sent;
  EXPECT_GE(after, seconds(15));
  EXPECT_LE(after, seconds(15) + milliseconds(333));
  EXPECT_EQ(pair.a.sources_cleared, cleared + 1);
}

TEST(WireguardTimers, LaterDataDoesNotPutTheNewHandshakeOff) {
  Pair pair;
  pair.connect();
  pair.loses = lose_all;
  const auto first = pair.clock.now;
  for (int i = 0; i < 16; ++i) {
    pair.a.send_data();
    pair.run(seconds(1));
  }
  ASSERT_EQ(pair.count(pair.a, initiation_type), 2U);
  EXPECT_LE(pair.last(pair.a, initiation_type).at - first, seconds(15) + milliseconds(333));
}

TEST(WireguardTimers, AnyAuthenticatedPacketCallsTheNewHandshakeOff) {
  Pair pair;
  pair.connect();
  pair.a.send_data();
  pair.run(seconds(60));  // b's passive keepalive comes after 10 s
  EXPECT_EQ(pair.count(pair.a, initiation_type), 1U);
}

TEST(WireguardTimers, AnUnansweredKeepaliveStartsNoHandshake) {
  Pair pair(1, with_keepalive(seconds(25)), {});
  pair.a.start();
  pair.settle();
  pair.loses = lose_all;
  pair.run(seconds(100));
  EXPECT_EQ(pair.count(pair.a, initiation_type), 1U);
}

// -- Age of keys --------------------------------------------------------------------------------------------------------------------

TEST(WireguardTimers, TheInitiatorRekeysWhenItSendsAfter120Seconds) {
  Pair pair;
  pair.connect();
  const auto first = pair.a.sending();
  pair.run(seconds(119));
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.count(pair.a, initiation_type), 1U);
  pair.run(seconds(1));
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.count(pair.a, initiation_type), 2U);
  EXPECT_NE(pair.a.sending(), first);
  EXPECT_EQ(pair.b.data_received, 2U);
  EXPECT_EQ(pair.a.sessions().size(), 2U) << "the previous session still receives";
}

TEST(WireguardTimers, TheResponderDoesNotRekeyByAge) {
  Pair pair;
  pair.connect();
  pair.loses = [&](const Datagram& datagram) { return datagram.from == pair.a.address(); };
  pair.run(seconds(121));
  const auto before = pair.clock.now;
  pair.b.send_data();
  pair.run(seconds(14));
  EXPECT_EQ(pair.count(pair.b, initiation_type), 0U);
  EXPECT_LT(pair.clock.now - before, seconds(15));
}

TEST(WireguardTimers, TheInitiatorRekeysWhenItReceivesAfter165SecondsAndOnlyOnce) {
  Pair pair;
  pair.connect();
  pair.run(seconds(164));
  pair.b.send_data();
  pair.settle();
  EXPECT_EQ(pair.count(pair.a, initiation_type), 1U);
  pair.loses = [&](const Datagram& datagram) { return datagram.type() == initiation_type; };
  pair.run(seconds(1));
  pair.b.send_data();
  pair.settle();
  EXPECT_EQ(pair.count(pair.a, initiation_type), 2U);
  // Further packets do not ask again; what follows are the retries of that one.
  for (int i = 0; i < 40; ++i) {
    pair.b.send_data();
    pair.run(milliseconds(100));
  }
  EXPECT_EQ(pair.count(pair.a, initiation_type), 2U);
}

TEST(WireguardTimers, AfterTheOneRekeyOnReceiveOnlyItsRetriesFollow) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Pair pair(seed);
    pair.connect();
    pair.loses = [&](const Datagram& datagram) { return datagram.type() == initiation_type; };
    pair.run(seconds(166));
    const auto cleared = pair.a.sources_cleared;
    for (int i = 0; i < 600; ++i) {
      pair.b.send_data();
      pair.run(milliseconds(10));
    }
    EXPECT_EQ(pair.count(pair.a, initiation_type), 3U);
    EXPECT_EQ(pair.a.sources_cleared, cleared + 1) << "the second of them was a retry";
  }
}

TEST(WireguardTimers, EverySessionHasItsOwnRekeyOnReceive) {
  Pair pair;
  pair.connect();
  for (std::size_t sessions = 2; sessions <= 4; ++sessions) {
    pair.run(seconds(166));
    pair.b.send_data();
    pair.settle();
    EXPECT_EQ(pair.a.new_sessions, sessions);
  }
}

TEST(WireguardTimers, TheResponderDoesNotRekeyOnReceive) {
  Pair pair;
  pair.connect();
  pair.loses = [&](const Datagram& datagram) { return datagram.type() == initiation_type; };
  pair.run(seconds(166));
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.b.data_received, 1U);
  EXPECT_EQ(pair.count(pair.b, initiation_type), 0U);
}

TEST(WireguardTimers, At180SecondsAKeyIsNeitherUsedNorAccepted) {
  Pair pair;
  pair.connect();
  pair.loses = [&](const Datagram& datagram) { return datagram.type() == initiation_type; };
  pair.run(seconds(179));
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.b.data_received, 1U);
  pair.run(seconds(1));
  const auto before = pair.count(pair.a, data_type);
  pair.a.send_data();
  EXPECT_EQ(pair.a.staged(), 1U);
  EXPECT_EQ(pair.count(pair.a, data_type), before);
  pair.loses = lose_none;
  pair.run(seconds(12));
  EXPECT_EQ(pair.b.data_received, 2U) << "it waits for the new session";
}

TEST(WireguardTimers, AllKeysAreErasedAfter540Seconds) {
  Pair pair;
  pair.connect();
  const auto born = pair.clock.now;
  pair.run(seconds(539));
  EXPECT_EQ(pair.a.sessions().size(), 1U);
  EXPECT_EQ(pair.b.sessions().size(), 1U);
  pair.run(seconds(2));
  EXPECT_LE(pair.clock.now - born, seconds(541));
  EXPECT_TRUE(pair.a.sessions().empty());
  EXPECT_TRUE(pair.b.sessions().empty());
  EXPECT_EQ(pair.a.indices().size(), 0U) << "index entries are freed";
  EXPECT_EQ(pair.b.indices().size(), 0U);
  EXPECT_FALSE(pair.a.peer().sending_session());
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.b.data_received, 1U);
}

TEST(WireguardTimers, ANewSessionPutsTheErasureOff) {
  Pair pair;
  pair.connect();
  pair.run(seconds(300));
  pair.a.send_data();
  pair.settle();
  pair.run(seconds(300));
  EXPECT_FALSE(pair.a.sessions().empty());
  pair.run(seconds(241));
  EXPECT_TRUE(pair.a.sessions().empty());
}

// -- Counters -----------------------------------------------------------------------------------------------------------------------

TEST(WireguardTimers, BothRolesRekeyAfter2To60Messages) {
  for (const bool by_initiator : {true, false}) {
    Pair pair;
    pair.connect();
    pair.run(seconds(10));
    auto& sender = by_initiator ? pair.a : pair.b;
    const auto before = pair.count(sender, initiation_type);
    const auto old_session = sender.sending();
    sender.sending_session().counter = rekey_after_messages - 1;
    sender.send_data();
    pair.settle();
    EXPECT_EQ(pair.count(sender, initiation_type), before) << "2^60 messages are allowed";
    sender.send_data();
    pair.settle();
    EXPECT_EQ(pair.count(sender, initiation_type), before + 1);
    EXPECT_NE(sender.sending(), old_session);
  }
}

TEST(WireguardTimers, Regression2_AUsedUpSessionSendsNothingMore) {
  Pair pair;
  pair.connect();
  pair.run(seconds(10));
  pair.loses = [&](const Datagram& datagram) { return datagram.type() == initiation_type; };
  pair.a.sending_session().counter = reject_after_messages - 1;
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.b.data_received, 1U) << "the last counter is good";
  pair.a.send_data();
  pair.settle();
  EXPECT_EQ(pair.a.staged(), 1U);
  EXPECT_EQ(pair.b.data_received, 1U);
  pair.loses = lose_none;
  pair.run(seconds(6));
  EXPECT_EQ(pair.b.data_received, 2U);
  EXPECT_EQ(pair.a.sending_session().counter, 1U) << "a new session starts at 0";
}

// -- Clocks -------------------------------------------------------------------------------------------------------------------------

TEST(WireguardTimers, EarlyAndLateCallsDoNoHarm) {
  Pair pair;
  pair.loses = lose_all;
  pair.a.initiate();
  pair.a.timeout();
  EXPECT_EQ(pair.a.outbox.size(), 1U) << "nothing is due yet";
  pair.clock.advance(seconds(7200));  // the machine slept
  pair.a.timeout();
  EXPECT_EQ(pair.a.outbox.size(), 2U) << "one retry, not one for each that was missed";
}

TEST(WireguardTimers, AClockThatStepsBackIsHarmless) {
  Pair pair;
  pair.connect();
  pair.clock.advance(-seconds(3));
  pair.a.send_data();
  pair.b.send_data();
  pair.a.initiate();
  pair.run(seconds(30));
  EXPECT_EQ(pair.b.data_received, 1U);
  EXPECT_EQ(pair.a.data_received, 1U);
  pair.clock.advance(-seconds(20));
  pair.a.send_data();
  pair.run(seconds(120));
  EXPECT_EQ(pair.b.data_received, 2U);
}

}  // namespace
}  // namespace drpf::protocol::wireguard::testing
