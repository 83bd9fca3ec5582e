#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nft_redirect_fixture.h"

namespace drpf::redirect {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::UnorderedElementsAre;

TEST_F(NftRedirectTest, ALeaseComesAndGoes) {
  for (const auto& older : kernels) {
    start_on(older);
    const std::vector both{lease_on(20000, 5), v6_side(lease_on(20000, 5))};
    ASSERT_TRUE(install(both));
    expect_in_kernel(both);
    ASSERT_TRUE(install({lease_on(20001, 6, 81)}));
    ASSERT_TRUE(remove(both));
    expect_in_kernel({lease_on(20001, 6, 81)});
    ASSERT_TRUE(remove({lease_on(20001, 6, 81)}));
    expect_in_kernel({});
  }
}

TEST_F(NftRedirectTest, ARenewedLeaseStaysAsLongAsItIsRenewedFor) {
  for (const auto& older : kernels) {
    start_on(older);
    ASSERT_TRUE(install({lease_on(20000, 5, 80, 60s)}));
    ASSERT_TRUE(renew({lease_on(20000, 5, 80, 600s)}));
    expect_in_kernel({lease_on(20000, 5, 80, 600s)});
    EXPECT_EQ(walks(), 1U) << "connections of a renewed lease go on: only the start looked for stale ones";
  }
}

TEST_F(NftRedirectTest, WhatIsOverIsNotInstalled) {
  ASSERT_TRUE(start());
  ASSERT_TRUE(install({lease_on(20000, 5)}));
  ASSERT_TRUE(change({}, {lease_on(20001, 6, 81, 0s)}, {lease_on(20000, 5, 80, -1s)}));
  expect_in_kernel({});
  ASSERT_TRUE(install({lease_on(20002, 7, 82, 1ms)}));
  EXPECT_EQ(count(names::redirect_v4), 1U) << "a millisecond is left";
}

TEST_F(NftRedirectTest, APortThatIsGivenOnTakesTheFormerLeaseWithIt) {
  for (const auto& older : kernels) {
    start_on(older);
    ASSERT_TRUE(install({lease_on(20000, 5)}));
    count_packets(1);
    kernel->connect(5, "203.0.113.7", "10.77.0.2");
    auto next = lease_on(20000, 6, 90);
    next.device_address = *parse_address("10.77.0.3");
    ASSERT_TRUE(install({next}));
    expect_in_kernel({next});
    ASSERT_TRUE(redirect->wait_for_purges(purge_patience));
    EXPECT_THAT(kernel->marks_of_connections(), IsEmpty()) << "the former holder's connections";
  }
}

TEST_F(NftRedirectTest, TheEndOfAFormerLeaseDoesNotTouchWhoHasThePortNow) {
  ASSERT_TRUE(start());
  ASSERT_TRUE(install({lease_on(20000, 5)}));
  ASSERT_TRUE(install({lease_on(20000, 6)}));
  ASSERT_TRUE(remove({lease_on(20000, 5)}));
  expect_in_kernel({lease_on(20000, 6)});
}

TEST_F(NftRedirectTest, OfTwoLeasesThatLeadToOnePortTheOlderIsTheSource) {
  for (const auto& older : kernels) {
    start_on(older);
    const auto first = lease_on(20001, 5);
    const auto second = lease_on(20000, 6);
    ASSERT_TRUE(install({second}));
    ASSERT_TRUE(install({first}));
    expect_in_kernel({first, second});
    ASSERT_TRUE(remove({first}));
    expect_in_kernel({second});
    ASSERT_TRUE(install({first}));
    ASSERT_TRUE(remove({second}));
    expect_in_kernel({first});
  }
}

TEST_F(NftRedirectTest, WhatIsTheSourceOfAPortIsRenewedWithItsOwnLease) {
  ASSERT_TRUE(start());
  ASSERT_TRUE(install({lease_on(20001, 5), lease_on(20000, 6)}));
  ASSERT_TRUE(renew({lease_on(20001, 5, 80, 600s)}));
  expect_in_kernel({lease_on(20001, 5, 80, 600s), lease_on(20000, 6)});
}

TEST_F(NftRedirectTest, AChangeThatIsTooLargeForTheKernelIsCut) {
  std::vector<Redirection> many;
  for (std::uint16_t i = 0; i < 10; ++i)
    many.push_back(lease_on(static_cast<std::uint16_t>(20000 + i), 5U + i, static_cast<std::uint16_t>(80 + i)));
  kernel->bytes_max = 3 * 400;
  ASSERT_TRUE(start());
  EXPECT_EQ(redirect->atomic_changes_max(), 3U);
  kernel->transactions.clear();
  ASSERT_TRUE(install(many));
  expect_in_kernel(many);
  EXPECT_THAT(kernel->transactions, ElementsAre(SizeIs(15), SizeIs(15), SizeIs(15), SizeIs(5)));
  kernel->transactions.clear();
  const std::vector removed(many.begin(), many.begin() + 4);
  const std::vector renewed(many.begin() + 4, many.end());
  ASSERT_TRUE(change(removed, {}, renewed));
  expect_in_kernel(renewed);
  EXPECT_THAT(kernel->transactions[0], Not(Contains("+live"))) << "removals first";
}

TEST_F(NftRedirectTest, AChangeThatFitsIsOneTransaction) {
  ASSERT_TRUE(start());
  kernel->transactions.clear();
  ASSERT_TRUE(install({lease_on(20000, 5), lease_on(20001, 6, 81)}));
  ASSERT_TRUE(change({lease_on(20000, 5)}, {lease_on(20000, 7, 82)}, {}));
  EXPECT_THAT(kernel->transactions, SizeIs(2));
}

TEST_F(NftRedirectTest, AChangeDoesNotReadTheWholeTableWhereTheKernelLetsItBe) {
  for (const auto& older : kernels) {
    start_on(older);
    kernel->dumps = 0;
    ASSERT_TRUE(install({lease_on(20000, 5)}));
    ASSERT_TRUE(renew({lease_on(20000, 5, 80, 600s)}));
    EXPECT_EQ(kernel->dumps == 0, older.destroys || older.renews_in_place);
    kernel->dumps = 0;
    ASSERT_TRUE(remove({lease_on(20000, 5)}));
    EXPECT_EQ(kernel->dumps, 0U) << "there are hundreds of thousands of others in it";
  }
}

TEST_F(NftRedirectTest, ARepairThatFitsIsOneTransaction) {
  ASSERT_TRUE(start({lease_on(20009, 9, 79)}));
  kernel->transactions.clear();
  const std::vector desired{lease_on(20000, 5), lease_on(20001, 6, 81)};
  EXPECT_EQ(redirect->reconcile(desired, at_start).value(), 15U);
  EXPECT_THAT(kernel->transactions, SizeIs(1)) << "nobody sees a half of it";
}

TEST_F(NftRedirectTest, ALeaseThatLosesOneOfItsAddressesGoesOnOnTheOther) {
  ASSERT_TRUE(start());
  const auto v4 = lease_on(20000, 5);
  ASSERT_TRUE(install({v4, v6_side(v4)}));
  count_packets(1);
  kernel->connect(5, "203.0.113.7", "10.77.0.2");
  kernel->transactions.clear();
  ASSERT_TRUE(remove({v4}));
  expect_in_kernel({v6_side(v4)});
  EXPECT_THAT(kernel->marks_of_connections(), IsEmpty()) << "before the leave to pass is given back";
  ASSERT_THAT(kernel->transactions, SizeIs(2));
  EXPECT_THAT(kernel->transactions[0], Contains("-live"));
  EXPECT_THAT(kernel->transactions[1], Contains("+live"));
}

TEST_F(NftRedirectTest, WhatRanOutOrWasChangedByOthersDoesNotStopAChange) {
  for (const auto& older : kernels) {
    start_on(older);
    ASSERT_TRUE(install({lease_on(20000, 5), lease_on(20001, 6, 81)}));
    kernel->sets[names::redirect_v4].erase(kernel->sets[names::redirect_v4].begin());
    kernel->sets[names::live].clear();
    ASSERT_TRUE(remove({lease_on(20000, 5)}));
    ASSERT_TRUE(renew({lease_on(20001, 6, 81, 600s)}));
    expect_in_kernel({lease_on(20001, 6, 81, 600s)});
    // Somebody has led the port elsewhere.
    kernel->sets[names::redirect_v4].begin()->second.data = system::NftData().address(*parse_address("192.0.2.1")).port(Port{1});
    ASSERT_TRUE(renew({lease_on(20001, 6, 81, 300s)}));
    expect_in_kernel({lease_on(20001, 6, 81, 300s)});
  }
}

TEST_F(NftRedirectTest, AKernelThatRefusesChangesNothingAndTheNextRepairMends) {
  ASSERT_TRUE(start());
  ASSERT_TRUE(install({lease_on(20000, 5)}));
  kernel->refused_changes = 1;
  const auto refused = change({lease_on(20000, 5)}, {lease_on(20001, 6, 81)}, {});
  ASSERT_FALSE(refused);
  expect_in_kernel({lease_on(20000, 5)});
  kernel->connect(5, "203.0.113.7", "10.77.0.2");
  const std::vector desired{lease_on(20001, 6, 81)};
  ASSERT_TRUE(redirect->reconcile(desired, at_start));
  expect_in_kernel(desired);
  ASSERT_TRUE(redirect->wait_for_purges(purge_patience));
  EXPECT_THAT(kernel->marks_of_connections(), IsEmpty());
}

TEST_F(NftRedirectTest, AfterAChangeThatFailedConnectionsAreLookedForThoughNoElementIsWrong) {
  ASSERT_TRUE(start());
  ASSERT_TRUE(install({lease_on(20000, 5)}));
  kernel->refused_changes = 1;
  EXPECT_FALSE(remove({lease_on(20000, 5)}));
  kernel->sets.clear();  // they ran out
  kernel->connect(5, "203.0.113.7", "10.77.0.2");
  EXPECT_EQ(redirect->reconcile({}, at_start).value(), 0U);
  ASSERT_TRUE(redirect->wait_for_purges(purge_patience));
  EXPECT_THAT(kernel->marks_of_connections(), IsEmpty());
  const auto before = walks();
  EXPECT_EQ(redirect->reconcile({}, at_start).value(), 0U);
  EXPECT_EQ(walks(), before) << "once is enough";
}

TEST_F(NftRedirectTest, OnlyWhatWasVisitedHasConnectionsToDelete) {
  ASSERT_TRUE(start());
  ASSERT_TRUE(install({lease_on(20000, 5), lease_on(20001, 6, 81)}));
  const auto before = walks();
  ASSERT_TRUE(remove({lease_on(20000, 5)}));
  EXPECT_EQ(walks(), before) << "nobody has been there";
  count_packets(1);
  ASSERT_TRUE(remove({lease_on(20001, 6, 81)}));
  EXPECT_EQ(walks(), before + 1);
}

TEST_F(NftRedirectTest, WithoutCountsEveryLeaseMayHaveBeenVisited) {
  ASSERT_TRUE(start({}, without(&NftRedirect::Options::use_counts)));
  ASSERT_TRUE(install({lease_on(20000, 5)}));
  const auto before = walks();
  ASSERT_TRUE(remove({lease_on(20000, 5)}));
  EXPECT_EQ(walks(), before + 1);
}

TEST_F(NftRedirectTest, CountsSayNothingWhereElementsWereMadeAnew) {
  ASSERT_TRUE(start());
  const auto before = walks();
  ASSERT_TRUE(install({lease_on(20000, 5)}));
  for (const char* set : {names::inbound_v4, names::outbound_v4}) kernel->sets[set].clear();  // they ran out
  ASSERT_TRUE(remove({lease_on(20000, 5)}));
  EXPECT_EQ(walks(), before + 1) << "who knows what they had counted";

  kernel->owns = false;
  ASSERT_TRUE(install({lease_on(20001, 6)}));
  ++kernel->foreign;
  const auto then = walks();
  ASSERT_TRUE(remove({lease_on(20001, 6)}));
  EXPECT_GE(walks(), then) << "another program was at a table that nobody owns";
}

TEST_F(NftRedirectTest, AReusedNumberMayHaveConnections) {
  ASSERT_TRUE(start({lease_on(20000, 5)}));
  const auto before = walks();
  ASSERT_TRUE(remove({lease_on(20000, 5)}));
  EXPECT_EQ(walks(), before + 1) << "what an earlier process gave out was not counted by this one";
}

TEST_F(NftRedirectTest, ManyThatGoAtOnceCountAsVisited) {
  std::vector<Redirection> many;
  for (std::uint16_t i = 0; i <= NftRedirect::echoed_removals_max / 2; ++i)
    many.push_back(lease_on(static_cast<std::uint16_t>(20000 + i), 5U + i, static_cast<std::uint16_t>(80 + i)));
  ASSERT_TRUE(start());
  ASSERT_TRUE(install(many));
  const auto before = walks();
  const std::vector few(many.begin() + 1, many.end());
  ASSERT_TRUE(remove(few));
  EXPECT_EQ(walks(), before) << "as many as are asked for one by one";
  ASSERT_TRUE(install(few));
  ASSERT_TRUE(remove(many));
  EXPECT_EQ(walks(), before + 1);
}

TEST_F(NftRedirectTest, APortIsSettledWhenItsFormerConnectionsAreGone) {
  ASSERT_TRUE(start());
  ASSERT_TRUE(install({lease_on(20000, 5), lease_on(20001, 6, 81)}));
  count_packets(1);
  EXPECT_EQ(redirect->unsettled(lease_on(20000, 7)), 0U);
  NftRedirect::Ticket ticket = 0;
  {
    const std::lock_guard walking(kernel->connections_mutex);
    ASSERT_TRUE(remove({lease_on(20000, 5)}));
    ticket = redirect->unsettled(lease_on(20000, 7, 99));
    EXPECT_NE(ticket, 0U) << "the same public port";
    EXPECT_FALSE(redirect->settled(ticket));
    EXPECT_NE(redirect->unsettled(lease_on(20009, 7, 80)), 0U) << "the same port of the device";
    EXPECT_EQ(redirect->unsettled(lease_on(20009, 7, 99)), 0U);
  }
  ASSERT_TRUE(redirect->wait_for_purges(purge_patience));
  EXPECT_TRUE(redirect->settled(ticket));
  EXPECT_EQ(redirect->unsettled(lease_on(20000, 7)), 0U);
}

TEST_F(NftRedirectTest, WhatIsRightIsNotRepaired) {
  const std::vector desired{lease_on(20000, 5), v6_side(lease_on(20000, 5)), lease_on(20001, 6, 81)};
  ASSERT_TRUE(start(desired));
  kernel->transactions.clear();
  EXPECT_EQ(redirect->reconcile(desired, at_start).value(), 0U);
  EXPECT_EQ(redirect->reconcile(desired, at_start + 1s).value(), 0U) << "a second of time more or less is no drift";
  EXPECT_THAT(kernel->transactions, IsEmpty());
}

TEST_F(NftRedirectTest, WhatIsWrongIsRepaired) {
  for (const auto& older : kernels) {
    const std::vector desired{lease_on(20000, 5), lease_on(20001, 6, 81), lease_on(20002, 7, 82)};
    start_on(older);
    ASSERT_TRUE(install(desired));
    auto& redirects = kernel->sets[names::redirect_v4];
    redirects.erase(redirects.begin());                                                                                   // missing
    redirects.begin()->second.data = system::NftData().address(*parse_address("192.0.2.1")).port(Port{1});                // wrong
    redirects[system::NftData().address(*parse_address("0.0.0.1")).protocol(Protocol::udp).port(Port{1})] = {{}, 1s, 0};  // too much, first
    redirects[system::NftData().address(*parse_address("255.0.0.1")).protocol(Protocol::udp).port(Port{1})] = {
        {}, 1s, 0};                                             // too much, last
    kernel->sets[names::live].begin()->second.timeout = 3600s;  // too long
    EXPECT_EQ(redirect->reconcile(desired, at_start).value(), 5U);
    expect_in_kernel(desired);
    EXPECT_EQ(redirect->reconcile(desired, at_start).value(), 0U);
  }
}

TEST_F(NftRedirectTest, ATimeoutThatDiffersIsDriftFromTheToleranceOn) {
  const std::vector desired{lease_on(20000, 5)};
  ASSERT_TRUE(start(desired));
  EXPECT_EQ(redirect->reconcile(desired, at_start + 1400ms).value(), 0U);
  EXPECT_EQ(redirect->reconcile(desired, at_start + 1600ms + 100ms).value(), 5U) << "all five of them";
}

TEST_F(NftRedirectTest, WhatARepairTookAwayIsNobodysSourceAnyMore) {
  ASSERT_TRUE(start({lease_on(20000, 5)}));
  ASSERT_TRUE(redirect->reconcile({}, at_start));
  ASSERT_TRUE(install({lease_on(20001, 6)}));  // which leads to the same port of the device
  expect_in_kernel({lease_on(20001, 6)});
}

TEST_F(NftRedirectTest, ALeaseThatWasMovedToAnotherAddressLosesItsConnections) {
  auto moved = lease_on(20000, 5);
  ASSERT_TRUE(start({moved}));
  kernel->connect(5, "203.0.113.7", "10.77.0.2");
  moved.public_address = *parse_address("198.51.100.2");
  const std::vector desired{moved};
  ASSERT_TRUE(redirect->reconcile(desired, at_start));
  expect_in_kernel(desired);
  ASSERT_TRUE(redirect->wait_for_purges(purge_patience));
  EXPECT_THAT(kernel->marks_of_connections(), IsEmpty()) << "they are on an address that may be another lease's";
}

TEST_F(NftRedirectTest, AConnectionOfALeaseThatStaysIsKept) {
  const std::vector desired{lease_on(20000, 5)};
  ASSERT_TRUE(start(desired));
  kernel->connect(5, "203.0.113.7", "10.77.0.2");
  kernel->connect(4, "203.0.113.7", "10.77.0.2");
  kernel->connect(1000, "203.0.113.7", "10.77.0.2");
  kernel->sets[names::redirect_v4].clear();
  ASSERT_EQ(redirect->reconcile(desired, at_start).value(), 1U);
  ASSERT_TRUE(redirect->wait_for_purges(purge_patience));
  EXPECT_THAT(kernel->marks_of_connections(), UnorderedElementsAre(5, 1000))
      << "a number above all known ones may be given out at any time";
}

TEST_F(NftRedirectTest, ALargeRepairTakesTheLeaveToPassFirstAndGivesItLast) {
  std::vector<Redirection> before;
  std::vector<Redirection> after;
  for (std::uint16_t i = 0; i < 30; ++i) {
    before.push_back(lease_on(static_cast<std::uint16_t>(20000 + i), 5U + i, static_cast<std::uint16_t>(80 + i)));
    after.push_back(lease_on(static_cast<std::uint16_t>(21000 + i), 105U + i, static_cast<std::uint16_t>(180 + i)));
  }
  kernel->bytes_max = 4000;
  ASSERT_TRUE(start(before));
  kernel->transactions.clear();
  EXPECT_EQ(redirect->reconcile(after, at_start).value(), 300U);
  expect_in_kernel(after);
  EXPECT_GT(kernel->transactions.size(), 3U);
  std::vector<std::string> all;
  for (const auto& transaction : kernel->transactions) all.insert(all.end(), transaction.begin(), transaction.end());
  EXPECT_EQ(std::count(all.begin(), all.begin() + 30, "-live"), 30);
  EXPECT_EQ(std::count(all.end() - 30, all.end(), "+live"), 30);
}

TEST_F(NftRedirectTest, AKernelThatCannotBeReadIsNotChanged) {
  const std::vector desired{lease_on(20000, 5)};
  ASSERT_TRUE(start(desired));
  kernel->transactions.clear();
  kernel->refuses_dumps = true;
  EXPECT_FALSE(redirect->reconcile({}, at_start));
  EXPECT_THAT(kernel->transactions, IsEmpty());
  kernel->refuses_dumps = false;
  const auto before = walks();
  EXPECT_EQ(redirect->reconcile(desired, at_start).value(), 0U);
  EXPECT_EQ(walks(), before + 1) << "whatever was not seen may have left connections";
}

}  // namespace
}  // namespace drpf::redirect
