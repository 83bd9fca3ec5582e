#include "redirect/connection_purge.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <rapidcheck/gtest.h>
#include <signal.h>

#include <future>

namespace drpf::redirect {
namespace {

TEST(CoveringBlock, IsTightForARow) {
  const std::vector<std::uint32_t> row{1001, 1002, 1003, 1007};
  EXPECT_EQ(covering_block(row), (system::MarkBlock{1000, ~7U}));
  const std::vector<std::uint32_t> one{77};
  EXPECT_EQ(covering_block(one), (system::MarkBlock{77, ~0U}));
  EXPECT_FALSE(covering_block({}));
  const std::vector<std::uint32_t> apart{0, 0xffffffff};
  EXPECT_FALSE(covering_block(apart)) << "the whole table is read";
}

RC_GTEST_PROP(CoveringBlock, TakesInEveryMark, (const std::vector<std::uint32_t>& marks)) {
  const auto block = covering_block(marks);
  if (!block) return;
  for (const auto mark : marks) RC_ASSERT((mark & block->mask) == block->value);
}

system::ConntrackEntry entry(std::uint32_t mark, const char* source, const char* reply_source) {
  system::ConntrackEntry out;
  out.mark = mark;
  out.original.source.address = *parse_address(source);
  out.reply.source.address = *parse_address(reply_source);
  return out;
}

TEST(StaleConnections, AreTheTunnelsWithAMarkThatIsOver) {
  ConnectionPurge::Stale stale;
  stale.live = {5, 7};
  stale.highest = 9;
  stale.tunnel_v4 = *parse_prefix("10.77.0.0/16");
  const auto* const outside = "203.0.113.9";
  const auto* const device = "10.77.0.2";
  EXPECT_TRUE(stale.holds(entry(6, outside, device)));
  EXPECT_TRUE(stale.holds(entry(6, device, outside)));
  EXPECT_FALSE(stale.holds(entry(6, outside, outside))) << "another program's mark";
  EXPECT_FALSE(stale.holds(entry(5, outside, device))) << "live";
  EXPECT_FALSE(stale.holds(entry(0, outside, device))) << "not a lease's";
  EXPECT_FALSE(stale.holds(entry(10, outside, device))) << "given out after this was asked for";
}

// A connection table whose walks can be held up.
struct Walks {
  std::mutex mutex;  // held: the next walk waits
  std::vector<system::ConntrackEntry> connections;
  std::vector<std::optional<system::MarkBlock>> blocks;
  int to_fail = 0;
  std::function<void()> during = [] {};

  ConnectionPurge::Delete delete_where() {
    return [this](const auto& chosen, std::optional<system::MarkBlock> among) -> Result<std::size_t> {
      const std::lock_guard lock(mutex);
      during();
      blocks.push_back(among);
      if (to_fail > 0) {
        --to_fail;
        return fail(failure("conntrack_failed", "the test's table is not to be read"));
      }
      return std::erase_if(connections, chosen);
    };
  }
};

constexpr Duration patience = std::chrono::seconds(20);

TEST(ConnectionPurge, DeletesWhatHasEndedAndNothingElse) {
  Walks walks;
  for (const std::uint32_t mark : {0, 5, 6, 7, 5}) walks.connections.push_back(entry(mark, "203.0.113.9", "10.77.0.2"));
  ConnectionPurge purge(walks.delete_where());
  EXPECT_EQ(purge.finished(), 0U);
  const auto ticket = purge.add(std::vector<std::uint32_t>{7, 5, 0}, ConnectionPurge::Last::certain);
  ASSERT_TRUE(purge.wait(ticket, patience));
  EXPECT_EQ(purge.finished(), ticket);
  ASSERT_EQ(walks.connections.size(), 2U);
  EXPECT_EQ(walks.connections[0].mark, 0U) << "which is nobody's mark";
  EXPECT_EQ(walks.connections[1].mark, 6U);
  EXPECT_EQ(purge.report().walks, 1U);
  EXPECT_EQ(purge.report().deleted, 3U);
}

TEST(ConnectionPurge, ReadsOnlyTheBlockOfItsMarksUnlessItLooksForStaleOnes) {
  Walks walks;
  ConnectionPurge purge(walks.delete_where());
  ASSERT_TRUE(purge.wait(purge.add(std::vector<std::uint32_t>{8, 9}, ConnectionPurge::Last::likely), patience));
  ConnectionPurge::Stale stale;
  stale.highest = 100;
  stale.tunnel_v4 = *parse_prefix("10.77.0.0/16");
  walks.connections = {entry(50, "203.0.113.9", "10.77.0.2"), entry(101, "203.0.113.9", "10.77.0.2")};
  ASSERT_TRUE(purge.wait(purge.add(stale), patience));
  EXPECT_EQ(walks.blocks[0], (system::MarkBlock{8, ~1U}));
  EXPECT_EQ(walks.blocks[1], std::nullopt);
  ASSERT_EQ(walks.connections.size(), 1U);
  EXPECT_EQ(walks.connections[0].mark, 101U);
  ASSERT_TRUE(purge.wait(purge.add(std::vector<std::uint32_t>{50}, ConnectionPurge::Last::likely), patience));
  EXPECT_TRUE(walks.blocks[2]) << "stale ones were looked for already";
}

TEST(ConnectionPurge, WhatEndsDuringAWalkHasOneWalkTogether) {
  Walks walks;
  for (const std::uint32_t mark : {5, 6, 7, 8}) walks.connections.push_back(entry(mark, "203.0.113.9", "10.77.0.2"));
  ConnectionPurge purge(walks.delete_where());
  ConnectionPurge::Ticket first = 0;
  ConnectionPurge::Ticket last = 0;
  {
    const std::lock_guard held(walks.mutex);
    first = purge.add(std::vector<std::uint32_t>{5}, ConnectionPurge::Last::likely);
    purge.add(std::vector<std::uint32_t>{6}, ConnectionPurge::Last::likely);
    last = purge.add(std::vector<std::uint32_t>{7}, ConnectionPurge::Last::certain);
    EXPECT_FALSE(purge.wait(first, Duration::zero()));
  }
  EXPECT_GT(last, first);
  ASSERT_TRUE(purge.wait(last, patience));
  EXPECT_EQ(walks.connections.size(), 1U);
  EXPECT_LE(purge.report().walks, 2U) << "of three that ended";
}

TEST(ConnectionPurge, WhatCouldNotBeDeletedIsTriedAgainAndNotFinishedBefore) {
  Walks walks;
  walks.connections = {entry(5, "203.0.113.9", "10.77.0.2"), entry(9, "203.0.113.9", "10.77.0.2")};
  walks.to_fail = 1;
  ConnectionPurge purge(walks.delete_where());
  std::atomic<int> told = 0;
  purge.when_finished([&] { ++told; });
  ConnectionPurge::Ticket ticket = 0;
  {
    const std::lock_guard held(walks.mutex);  // both are one walk, or the second comes while the first waits for its next try
    purge.add(std::vector<std::uint32_t>{5}, ConnectionPurge::Last::likely);
    ConnectionPurge::Stale stale;
    stale.highest = 9;
    stale.tunnel_v4 = *parse_prefix("10.77.0.0/16");
    ticket = purge.add(stale);
  }
  ASSERT_TRUE(purge.wait(ticket, patience));
  EXPECT_TRUE(walks.connections.empty());
  EXPECT_EQ(purge.report().deleted, 2U);
  EXPECT_GE(told, 1);
  purge.when_finished({});
  const auto before = told.load();
  ASSERT_TRUE(purge.wait(purge.add(std::vector<std::uint32_t>{5}, ConnectionPurge::Last::likely), patience));
  EXPECT_EQ(told, before);
}

TEST(ConnectionPurge, EndsAlsoWhileItWaitsForItsNextTry) {
  Walks walks;
  walks.to_fail = 1'000'000;
  std::promise<void> walked;
  walks.during = [&, first = true]() mutable {
    if (std::exchange(first, false)) walked.set_value();
  };
  ConnectionPurge purge(walks.delete_where());
  purge.add(std::vector<std::uint32_t>{5}, ConnectionPurge::Last::likely);
  walked.get_future().wait();
}

TEST(ConnectionPurge, SignalsAreLeftToTheOtherThreads) {
  sigset_t before;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  Walks walks;
  std::array<char, 16> name{};
  bool blocked = true;
  walks.during = [&] {
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGCHLD}) blocked = blocked && ::sigismember(&mask, signal) == 1;
    ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  };
  ConnectionPurge purge(walks.delete_where());
  ASSERT_TRUE(purge.wait(purge.add(std::vector<std::uint32_t>{5}, ConnectionPurge::Last::likely), patience));
  EXPECT_TRUE(blocked);
  EXPECT_STREQ(name.data(), "purge");
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(::sigismember(&before, SIGTERM), ::sigismember(&after, SIGTERM));
}

}  // namespace
}  // namespace drpf::redirect
