#include "scan/answer.h"

#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace drpf::scan {
namespace {

Answer icmp(const char* sender, std::uint8_t type, std::uint8_t code, bool from_target = true) {
  return {.type = AnswerType::icmp, .sender = *parse_address(sender), .from_target = from_target, .icmp = {type, code}};
}

State state(Kind kind, const Answer& answer) {
  const auto meaning = meaning_of(kind, answer);
  return meaning ? meaning->state : State::undecided;
}

constexpr Kind fin_family[] = {Kind::fin, Kind::null, Kind::xmas, Kind::maimon};

TEST(Answer, TcpAnswersMeanWhatTheTableSays) {
  const Answer syn_ack{.type = AnswerType::syn_ack};
  const Answer syn{.type = AnswerType::syn};
  const Answer reset{.type = AnswerType::reset, .window = 0};
  const Answer reset_with_window{.type = AnswerType::reset, .window = 1024};
  EXPECT_EQ(state(Kind::syn, syn_ack), State::open);
  EXPECT_EQ(state(Kind::connect, syn_ack), State::open);
  EXPECT_EQ(state(Kind::syn, syn), State::open);
  EXPECT_EQ(meaning_of(Kind::syn, syn)->cause, Cause::split_handshake);
  EXPECT_FALSE(meaning_of(Kind::connect, syn));
  for (const auto kind : {Kind::syn, Kind::connect}) EXPECT_EQ(state(kind, reset), State::closed);
  EXPECT_EQ(state(Kind::ack, reset), State::unfiltered);
  EXPECT_EQ(state(Kind::ack, reset_with_window), State::unfiltered);
  EXPECT_EQ(state(Kind::window, reset), State::closed);
  EXPECT_EQ(state(Kind::window, reset_with_window), State::open);
  for (const auto kind : fin_family) {
    EXPECT_EQ(state(kind, reset_with_window), State::closed);
    EXPECT_FALSE(meaning_of(kind, syn_ack));
  }
  for (const auto kind : {Kind::ack, Kind::window, Kind::udp}) EXPECT_FALSE(meaning_of(kind, syn_ack));
  EXPECT_FALSE(meaning_of(Kind::udp, reset));
}

TEST(Answer, OtherProtocolsAnswerForThemselves) {
  const Answer datagram{.type = AnswerType::udp};
  EXPECT_EQ(state(Kind::udp, datagram), State::open);
  EXPECT_FALSE(meaning_of(Kind::syn, datagram));
  for (const auto type : {AnswerType::syn_ack, AnswerType::reset, AnswerType::udp, AnswerType::protocol})
    EXPECT_EQ(state(Kind::ip_protocol, {.type = type}), State::open);
}

TEST(Answer, IcmpErrorsMeanWhatTheTableSays) {
  const auto port_unreach_v4 = icmp("192.0.2.1", 3, 3);
  const auto port_unreach_v6 = icmp("2001:db8::1", 1, 4);
  for (const auto kind : kinds()) {
    if (kind == Kind::idle) continue;
    for (const auto& answer : {port_unreach_v4, port_unreach_v6}) {
      EXPECT_EQ(state(kind, answer), kind == Kind::udp           ? State::closed
                                     : kind == Kind::ip_protocol ? State::open
                                                                 : State::filtered)
          << to_string(kind);
    }
    EXPECT_EQ(state(kind, icmp("192.0.2.1", 3, 2)), kind == Kind::ip_protocol ? State::closed : State::filtered);
    EXPECT_EQ(state(kind, icmp("2001:db8::1", 4, 1)), kind == Kind::ip_protocol ? State::closed : State::filtered);
    EXPECT_EQ(state(kind, icmp("2001:db8::1", 4, 0)), kind == Kind::ip_protocol ? State::open : State::filtered);
    EXPECT_EQ(state(kind, icmp("2001:db8::1", 4, 2)), State::filtered);
    for (const auto code : {0, 1, 5, 9, 10, 13, 15})
      EXPECT_EQ(state(kind, icmp("192.0.2.1", 3, static_cast<std::uint8_t>(code))), State::filtered);
    for (const auto code : {0, 1, 2, 3, 5, 6})
      EXPECT_EQ(state(kind, icmp("2001:db8::1", 1, static_cast<std::uint8_t>(code))), State::filtered);
    EXPECT_EQ(state(kind, icmp("192.0.2.1", 11, 0)), State::filtered);
    EXPECT_EQ(state(kind, icmp("2001:db8::1", 3, 0)), State::filtered);
    for (const auto& answer : {icmp("192.0.2.9", 3, 3, false), icmp("192.0.2.9", 3, 2, false), icmp("2001:db8::9", 1, 4, false),
                               icmp("2001:db8::9", 4, 1, false)})
      EXPECT_EQ(state(kind, answer), State::filtered);
    EXPECT_FALSE(meaning_of(kind, icmp("192.0.2.1", 3, 4)));    // fragmentation needed
    EXPECT_FALSE(meaning_of(kind, icmp("192.0.2.1", 4, 0)));    // source quench
    EXPECT_FALSE(meaning_of(kind, icmp("2001:db8::1", 2, 0)));  // packet too big
  }
  EXPECT_EQ(meaning_of(Kind::syn, icmp("192.0.2.1", 3, 7))->detail, 7);
}

TEST(Answer, Silence) {
  for (const auto kind : {Kind::syn, Kind::connect, Kind::ack, Kind::window}) EXPECT_EQ(meaning_of_silence(kind).state, State::filtered);
  for (const auto kind : fin_family) EXPECT_EQ(meaning_of_silence(kind).state, State::open_filtered);
  EXPECT_EQ(meaning_of_silence(Kind::udp).state, State::open_filtered);
  EXPECT_EQ(meaning_of_silence(Kind::udp, true).state, State::closed_filtered);
  EXPECT_EQ(meaning_of_silence(Kind::ip_protocol).state, State::open_filtered);
}

TEST(Answer, OfSeveralTheStrongestStays) {
  EXPECT_FALSE(replaces(Kind::syn, State::open, State::closed));
  EXPECT_FALSE(replaces(Kind::syn, State::open, State::filtered));
  EXPECT_FALSE(replaces(Kind::syn, State::closed, State::filtered));
  EXPECT_TRUE(replaces(Kind::syn, State::filtered, State::open));
  EXPECT_TRUE(replaces(Kind::syn, State::filtered, State::closed));
  EXPECT_FALSE(replaces(Kind::ack, State::unfiltered, State::filtered));
  EXPECT_TRUE(replaces(Kind::window, State::unfiltered, State::open));
  for (const auto kind : {Kind::fin, Kind::udp, Kind::ip_protocol}) {
    EXPECT_FALSE(replaces(kind, State::closed, State::filtered));
    EXPECT_FALSE(replaces(kind, State::closed, State::open));
    EXPECT_FALSE(replaces(kind, State::filtered, State::open));
    EXPECT_TRUE(replaces(kind, State::filtered, State::closed));
    for (const auto next : {State::open, State::closed, State::filtered}) EXPECT_TRUE(replaces(kind, State::open_filtered, next));
  }
  for (const auto kind : kinds())
    for (const auto next : {State::open, State::closed, State::filtered}) {
      if (kind == Kind::idle) continue;
      EXPECT_TRUE(replaces(kind, State::undecided, next));
    }
}

}  // namespace
}  // namespace drpf::scan
