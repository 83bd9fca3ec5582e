// What the kernel of this machine says of its own probes is never a statement about the target.
#include "probe/local_trouble.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace drpf::probe {
namespace {

using scan::Cause;
using scan::State;

TEST(LocalTrouble, IsSaidInWordsWhereTheErrorItselfDoesNotSayIt) {
  EXPECT_THAT(note_of_local_error(EMSGSIZE), testing::HasSubstr("MTU"));
  EXPECT_THAT(note_of_local_error(EPERM), testing::HasSubstr("a rule of this machine"));
  EXPECT_EQ(note_of_local_error(EMFILE), "");
}

TEST(LocalTrouble, IsARuleThatRefusesOrARouterThatIsSilent) {
  const auto own = *parse_address("10.0.0.2");
  for (const auto cause : {Cause::admin_prohibited, Cause::port_unreach, Cause::net_unreach, Cause::policy_fail}) {
    const auto verdict = told_by_this_machine({.state = State::filtered, .cause = cause, .sender = own, .probes = 3}, true, "");
    EXPECT_EQ(verdict.state, State::undecided);
    EXPECT_EQ(verdict.cause, Cause::local_error);
    EXPECT_EQ(verdict.detail, EPERM);
    EXPECT_FALSE(verdict.sender);
    EXPECT_EQ(verdict.probes, 3);
    EXPECT_THAT(verdict.note, testing::HasSubstr("a rule of this machine has refused"));
  }
  for (const auto cause : {Cause::host_unreach, Cause::addr_unreach}) {
    const scan::Verdict told{.state = State::filtered, .cause = cause, .sender = own};
    EXPECT_EQ(told_by_this_machine(told, false, "silent").state, State::undecided)
        << "the router's silence says nothing about a host behind it";
    EXPECT_EQ(told_by_this_machine(told, false, "silent").detail, EHOSTUNREACH);
    EXPECT_EQ(told_by_this_machine(told, false, "silent").note, "silent");
    EXPECT_EQ(told_by_this_machine(told, true, "silent").state, State::filtered) << "the target itself does not answer ARP";
    EXPECT_EQ(told_by_this_machine(told, true, "silent").cause, Cause::host_unreach);
  }
}

}  // namespace
}  // namespace drpf::probe
