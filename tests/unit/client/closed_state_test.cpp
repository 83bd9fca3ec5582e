#include "client/connect/closed_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using Part = ClosedState::Part;
using testing::HasSubstr;
using testing::Not;

ClosedState closed() {
  ClosedState state;
  state.interface = "home";
  state.routing = state.firewall = Part::stands;
  return state;
}

TEST(ClosedState, SaysWhetherAndWhyInOneSentence) {
  auto state = closed();
  state.process = 12;
  state.word = "connected to 198.51.100.1:51820";
  EXPECT_EQ(
      closed_sentence(state),
      "home: closed. Nothing but the tunnel's own packets and private networks passes beside the tunnel: drpf connect runs (process 12, "
      "connected to 198.51.100.1:51820).");
  state.process.reset();
  state.word = "it ended: no TUN";
  EXPECT_EQ(
      closed_sentence(state),
      "home: closed. Nothing but the tunnel's own packets and private networks passes beside the tunnel, for drpf connect does not run, "
      "it ended: no TUN; only your word takes this away: drpf connect home --clean-up.");
}

TEST(ClosedState, SaysWhatIsMissing) {
  auto state = closed();
  state.firewall = Part::absent;
  EXPECT_FALSE(state.whole());
  EXPECT_THAT(closed_sentence(state), HasSubstr("closed in part. "));
  EXPECT_THAT(closed_sentence(state), HasSubstr("(the firewall's rules are missing; the next start puts them back)"));
  state.firewall = Part::stands;
  state.routing = Part::absent;
  state.process = 7;
  EXPECT_THAT(closed_sentence(state), HasSubstr("(the routes are missing; they are put back in a moment)"));
}

TEST(ClosedState, WhatThisUserMayNotSeeIsNotSaidToBeMissing) {
  auto state = closed();
  state.firewall = Part::unknown;
  EXPECT_TRUE(state.whole());
  EXPECT_THAT(closed_sentence(state), Not(HasSubstr("missing")));
}

TEST(ClosedState, OpenIsSaidToo) {
  ClosedState state;
  state.interface = "home";
  EXPECT_EQ(closed_sentence(state), "home: open. Nothing is here of drpf connect home.");
  state.process = 0;  // of another process namespace
  EXPECT_EQ(closed_sentence(state), "home: open. drpf connect runs, and there is no kill switch.");
}

TEST(ClosedState, InboundOnlyClosesTheAnswersAlone) {
  auto state = closed();
  state.answers_only = true;
  EXPECT_THAT(closed_sentence(state), HasSubstr("home: inbound only. Answers to visitors leave by the tunnel or not at all"));
}

}  // namespace
}  // namespace drpf::client
