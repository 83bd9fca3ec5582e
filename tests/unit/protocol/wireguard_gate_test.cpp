// The proofs before public-key work: MACs, cookies, the limiter, and the gate that puts them in order.
#include "protocol/wireguard/handshake_gate.h"

#include <gtest/gtest.h>

#include <set>

#include "core/encoding.h"
#include "wireguard_pair.h"

namespace drpf::protocol::wireguard {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::endpoint;
using testing::SeededRandom;

const Time start(seconds(5000));
Address ip(const char* text) { return *parse_address(text); }

// -- Limiter ------------------------------------------------------------------------------------------------------------------------

TEST(HandshakeLimiter, TheTableOfCases) {
  struct Step {
    milliseconds wait;
    bool pass;
  };
  const std::vector<Step> steps{{milliseconds(0), true},  {milliseconds(0), true},  {milliseconds(0), true},
                                {milliseconds(0), true},  {milliseconds(0), true},  {milliseconds(0), false},
                                {milliseconds(50), true}, {milliseconds(0), false}, {milliseconds(100), true},
                                {milliseconds(0), true},  {milliseconds(0), false}, {milliseconds(10'000), true}};
  HandshakeLimiter limiter;
  auto now = start;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    now += steps[i].wait;
    // The sources are independent, so each sees the same verdicts at every step.
    for (const char* source : {"127.0.0.1", "192.168.1.1", "172.16.15.14", "2001:db8::5", "2001:db8:0:1::5"})
      EXPECT_EQ(limiter.allow(ip(source), now), steps[i].pass) << "step " << i + 1 << ", " << source;
  }
}

TEST(HandshakeLimiter, CountsIpv6BySlash64) {
  HandshakeLimiter limiter;
  const std::vector<const char*> same{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:1", "2001:db8:0:0:8000::", "2001:db8::5"};
  for (const char* source : same) EXPECT_TRUE(limiter.allow(ip(source), start));
  EXPECT_FALSE(limiter.allow(ip("2001:db8::6"), start));
  EXPECT_TRUE(limiter.allow(ip("2001:db8:0:1::"), start));
  EXPECT_EQ(limiter.size(), 2U);
}

TEST(HandshakeLimiter, TheRateIsTwentyPerSecond) {
  HandshakeLimiter limiter;
  int passed = 0;
  for (int ms = 0; ms < 10'000; ++ms)
    if (limiter.allow(ip("192.0.2.1"), start + milliseconds(ms))) ++passed;
  EXPECT_EQ(passed, 204);  // the burst of 5, then one each 50 ms
}

TEST(HandshakeLimiter, TheTableIsBoundedAndCollected) {
  HandshakeLimiter limiter(100);
  for (std::uint32_t i = 0; i < 100; ++i) EXPECT_TRUE(limiter.allow(Address::v4(i), start));
  EXPECT_FALSE(limiter.allow(Address::v4(100), start));
  EXPECT_TRUE(limiter.allow(Address::v4(7), start)) << "a known source is still served";
  EXPECT_EQ(limiter.size(), 100U);
  EXPECT_TRUE(limiter.allow(Address::v4(100), start + seconds(2))) << "full buckets are forgotten in time";
  EXPECT_EQ(limiter.size(), 1U);
}

TEST(HandshakeLimiter, CollectingDoesNotForgive) {
  HandshakeLimiter limiter;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.allow(ip("192.0.2.1"), start));
  limiter.collect(start + milliseconds(10));
  EXPECT_FALSE(limiter.allow(ip("192.0.2.1"), start + milliseconds(10)));
}

TEST(HandshakeLimiter, AClockThatStepsBackGivesNoTokens) {
  HandshakeLimiter limiter;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.allow(ip("192.0.2.1"), start));
  EXPECT_FALSE(limiter.allow(ip("192.0.2.1"), start - seconds(100)));
}

// -- Cookies ------------------------------------------------------------------------------------------------------------------------

class CookieTest : public ::testing::Test {
 protected:
  CookieTest() {
    message[0] = 1;
    signer.sign(message, now);
  }
  void exchange(const Endpoint& source) {
    const auto reply = decode_cookie_reply(checker.make_reply(message, source, now, random));
    ASSERT_TRUE(reply);
    ASSERT_TRUE(signer.accept_reply(*reply, now));
    signer.sign(message, now);
  }

  SeededRandom random{9};
  Time now = start;
  crypto::Key32 receiver = Identity::from_private(crypto::generate_private_key(random)).public_key;
  MacSigner signer{receiver};
  MacChecker checker{receiver};
  Bytes message = Bytes(initiation_size);
  Endpoint from = endpoint("192.0.2.1:4000");
};

TEST_F(CookieTest, Mac1IsForOneReceiverAndOneMessage) {
  EXPECT_TRUE(checker.mac1_valid(message));
  EXPECT_FALSE(MacChecker(Identity::from_private(crypto::generate_private_key(random)).public_key).mac1_valid(message));
  for (const std::size_t at : {0, 4, 50, 115, 116, 131}) {
    auto changed = message;
    changed[at] ^= 1;
    EXPECT_FALSE(checker.mac1_valid(changed)) << at;
  }
  EXPECT_FALSE(checker.mac1_valid(ByteView(message).first(32)));
}

TEST_F(CookieTest, WithoutACookieMac2IsZeroAndInvalid) {
  EXPECT_TRUE(std::all_of(message.end() - 16, message.end(), [](auto byte) { return byte == 0; }));
  EXPECT_FALSE(checker.mac2_valid(message, from, now));
}

// Regression 14: cookie replies exist, and lead to a message that passes.
TEST_F(CookieTest, Regression14_TheReplyMakesTheNextMessageValid) {
  exchange(from);
  EXPECT_TRUE(checker.mac1_valid(message));
  EXPECT_TRUE(checker.mac2_valid(message, from, now));
}

// Regression 3: one host behind a NAT must not be able to use a neighbour's cookie.
TEST_F(CookieTest, Regression3_TheCookieCoversAddressAndPort) {
  exchange(from);
  EXPECT_FALSE(checker.mac2_valid(message, endpoint("192.0.2.1:4001"), now));
  EXPECT_FALSE(checker.mac2_valid(message, endpoint("192.0.2.2:4000"), now));
  EXPECT_FALSE(checker.mac2_valid(message, endpoint("[2001:db8::1]:4000"), now));
}

TEST_F(CookieTest, TheSecretExpires) {
  exchange(from);
  EXPECT_TRUE(checker.mac2_valid(message, from, now + cookie_secret_lifetime));
  EXPECT_FALSE(checker.mac2_valid(message, from, now + cookie_secret_lifetime + milliseconds(1)));
}

TEST_F(CookieTest, TheSecretIsRotatedAndOldCookiesDieWithIt) {
  exchange(from);
  const auto old_message = message;
  now += cookie_secret_lifetime + seconds(1);
  signer.sign(message, now);
  exchange(from);
  EXPECT_TRUE(checker.mac2_valid(message, from, now));
  EXPECT_FALSE(checker.mac2_valid(old_message, from, now));
}

TEST_F(CookieTest, TheSenderStopsUsingACookieAMomentBeforeItDies) {
  exchange(from);
  const auto is_zero = [this] { return std::all_of(message.end() - 16, message.end(), [](auto byte) { return byte == 0; }); };
  signer.sign(message, now + seconds(115) - milliseconds(1));
  EXPECT_FALSE(is_zero());
  signer.sign(message, now + seconds(115));
  EXPECT_TRUE(is_zero());
}

TEST_F(CookieTest, AReplyAnswersOneMessageOnly) {
  const auto reply = *decode_cookie_reply(checker.make_reply(message, from, now, random));
  ASSERT_TRUE(signer.accept_reply(reply, now));
  EXPECT_FALSE(signer.accept_reply(reply, now)) << "the same reply again";
  message[10] ^= 1;
  signer.sign(message, now);
  EXPECT_FALSE(signer.accept_reply(reply, now)) << "a reply to another message";
  EXPECT_FALSE(MacSigner(receiver).accept_reply(reply, now)) << "nothing was sent";
}

// Replies to one cookie's secret share a key, so each must have a nonce of its own.
TEST_F(CookieTest, NoNonceIsUsedTwice) {
  std::set<std::array<std::uint8_t, 24>> nonces;
  for (int i = 0; i < 1000; ++i) {
    const auto reply = decode_cookie_reply(checker.make_reply(message, from, now, random));
    ASSERT_TRUE(reply);
    EXPECT_TRUE(nonces.insert(reply->nonce).second);
    if (i % 100 == 99) now += cookie_secret_lifetime + seconds(1);
  }
}

TEST_F(CookieTest, AForgedReplyIsRefusedAndTheTrueOneStillAccepted) {
  const auto reply = *decode_cookie_reply(checker.make_reply(message, from, now, random));
  auto forged = reply;
  forged.sealed_cookie[0] ^= 1;
  EXPECT_FALSE(signer.accept_reply(forged, now));
  forged = reply;
  forged.nonce[23] ^= 1;
  EXPECT_FALSE(signer.accept_reply(forged, now));
  EXPECT_TRUE(signer.accept_reply(reply, now));
}

// -- Gate ---------------------------------------------------------------------------------------------------------------------------

class GateTest : public CookieTest {
 protected:
  GateVerdict check(const Endpoint& source, std::size_t queued) { return gate.check(message, source, queued, now, random); }
  bool passes(const Endpoint& source, std::size_t queued) { return std::holds_alternative<GatePass>(check(source, queued)); }
  static std::optional<DropReason> dropped(const GateVerdict& verdict) {
    const auto* drop = std::get_if<GateDrop>(&verdict);
    return drop == nullptr ? std::nullopt : std::optional(drop->reason);
  }
  HandshakeGate gate{receiver};
};

TEST_F(GateTest, LetsGoodMessagesPassWhileThereIsNoLoad) {
  EXPECT_TRUE(passes(from, 0));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(passes(from, under_load_from - 1)) << "no limiter without load";
}

TEST_F(GateTest, DropsWhatIsNoHandshakeMessageOrNotForUs) {
  EXPECT_EQ(dropped(gate.check(Bytes(3), from, 0, now, random)), DropReason::malformed);
  Bytes data(keepalive_size);
  data[0] = 4;
  EXPECT_EQ(dropped(gate.check(data, from, 0, now, random)), DropReason::malformed);
  message[20] ^= 1;
  EXPECT_EQ(dropped(check(from, 0)), DropReason::bad_mac1);
  EXPECT_EQ(dropped(check(from, 4000)), DropReason::bad_mac1) << "a cookie reply would make us an amplifier for anybody";
}

TEST(LoadMeter, LoadBeginsAt512AndLastsASecond) {
  LoadMeter meter;
  EXPECT_FALSE(meter.note(LoadMeter::Kind::unasked, 511, start));
  EXPECT_TRUE(meter.note(LoadMeter::Kind::unasked, 512, start));
  EXPECT_TRUE(meter.note(LoadMeter::Kind::unasked, 0, start + milliseconds(999)));
  EXPECT_FALSE(meter.note(LoadMeter::Kind::unasked, 0, start + milliseconds(1000)));
}

TEST(LoadMeter, ARateIsLoadThoughNothingWaits) {
  LoadMeter meter;
  auto now = start;
  int noted = 1;
  while (!meter.note(LoadMeter::Kind::unasked, 0, now) && noted < 10'000) {
    now += microseconds(500);  // 2,000 a second
    ++noted;
  }
  EXPECT_NEAR(noted, 1024, 2) << "512 more than the rate allows";
  for (int i = 0; i < 10'000; ++i) {
    now += microseconds(500);
    ASSERT_TRUE(meter.note(LoadMeter::Kind::unasked, 0, now)) << "as long as it goes on";
  }
  for (int i = 0; i < 1100; ++i) meter.note(LoadMeter::Kind::unasked, 0, now += milliseconds(2));  // 500 a second
  EXPECT_FALSE(meter.note(LoadMeter::Kind::unasked, 0, now));
}

TEST(LoadMeter, TheAllowedRateIsNoLoad) {
  LoadMeter meter;
  auto now = start;
  for (int i = 0; i < 20'000; ++i) ASSERT_FALSE(meter.note(LoadMeter::Kind::unasked, 0, now += milliseconds(1)));
}

TEST(LoadMeter, AClockThatStepsBackIsNoLoad) {
  LoadMeter meter;
  EXPECT_FALSE(meter.note(LoadMeter::Kind::unasked, 0, start));
  EXPECT_FALSE(meter.note(LoadMeter::Kind::unasked, 0, start - seconds(100)));
  EXPECT_FALSE(meter.note(LoadMeter::Kind::unasked, 0, start));
}

TEST(LoadMeter, AnswersAreLoadOnlyInALongQueue) {
  LoadMeter meter;
  for (int i = 0; i < 10'000; ++i) ASSERT_FALSE(meter.note(LoadMeter::Kind::answer, 511, start)) << "a gateway calls all its devices back";
  EXPECT_FALSE(meter.note(LoadMeter::Kind::unasked, 0, start)) << "they do not count for others";
  EXPECT_TRUE(meter.note(LoadMeter::Kind::answer, 512, start));
  EXPECT_TRUE(meter.note(LoadMeter::Kind::unasked, 0, start));
}

TEST(LoadMeter, AFloodOfInitiationsDoesNotMakeAnswersWait) {
  LoadMeter meter;
  for (int i = 0; i < 1000; ++i) meter.note(LoadMeter::Kind::unasked, 0, start);
  EXPECT_TRUE(meter.note(LoadMeter::Kind::unasked, 0, start));
  EXPECT_FALSE(meter.note(LoadMeter::Kind::answer, 0, start));
}

// The rate alone, with no queue: 50,000 initiations in a second from 50,000 places, of which at most the allowance costs public-key work.
TEST_F(GateTest, AFloodFromEverywhereCostsABoundedNumberOfHandshakes) {
  MacSigner flooder(receiver);
  Bytes flood(initiation_size);
  flood[0] = 1;
  flooder.sign(flood, now);
  int passed = 0;
  std::size_t asked = 0;
  std::size_t answered = 0;
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    now += microseconds(20);
    const auto verdict = gate.check(flood, Endpoint{Address::v4(0xc6120000 + i), Port(1)}, 0, now, random);
    if (std::holds_alternative<GatePass>(verdict)) ++passed;
    if (const auto* reply = std::get_if<GateReply>(&verdict)) {
      asked += flood.size();
      answered += reply->cookie_reply.size();
    }
  }
  EXPECT_LE(passed, 530);
  EXPECT_GT(answered, 0U);
  EXPECT_LT(answered, asked / 2) << "no amplifier";
}

TEST_F(GateTest, UnderLoadAsksForACookieAndThenAdmitsItsHolder) {
  const auto verdict = check(from, 512);
  const auto* reply = std::get_if<GateReply>(&verdict);
  ASSERT_NE(reply, nullptr);
  ASSERT_TRUE(signer.accept_reply(*decode_cookie_reply(reply->cookie_reply), now));
  signer.sign(message, now);
  EXPECT_TRUE(passes(from, 512));
  EXPECT_FALSE(passes(endpoint("192.0.2.1:4001"), 512)) << "the same cookie from another port";
}

TEST_F(GateTest, UnderLoadHoldersOfCookiesAreLimitedPerSource) {
  const auto verdict = check(from, 512);
  ASSERT_TRUE(signer.accept_reply(*decode_cookie_reply(std::get<GateReply>(verdict).cookie_reply), now));
  signer.sign(message, now);
  for (unsigned i = 0; i < initiations_burst; ++i) EXPECT_TRUE(passes(from, 512));
  EXPECT_EQ(dropped(check(from, 512)), DropReason::rate_limited);
  now += milliseconds(50);
  EXPECT_TRUE(passes(from, 512));
}

// A limiter per source, never one counter for all: a flood from elsewhere takes nothing from this peer.
TEST_F(GateTest, AFloodOfOthersDoesNotKeepACookieHolderOut) {
  const auto verdict = check(from, 512);
  ASSERT_TRUE(signer.accept_reply(*decode_cookie_reply(std::get<GateReply>(verdict).cookie_reply), now));
  signer.sign(message, now);
  MacSigner flooder(receiver);
  Bytes flood(initiation_size);
  flood[0] = 1;
  flooder.sign(flood, now);
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    const auto answer = gate.check(flood, Endpoint{Address::v4(0xc6336400 + i), Port(1)}, 4000, now, random);
    ASSERT_TRUE(std::holds_alternative<GateReply>(answer));
  }
  EXPECT_TRUE(passes(from, 4000));
}

TEST_F(GateTest, CookieRepliesPassToBeJudgedByThePeer) {
  Bytes reply(cookie_reply_size);
  reply[0] = 3;
  EXPECT_TRUE(std::holds_alternative<GatePass>(gate.check(reply, from, 4000, now, random)));
}

}  // namespace
}  // namespace drpf::protocol::wireguard
