#include "protocol/wireguard/replay_window.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace drpf::protocol::wireguard {
namespace {

TEST(ReplayWindow, TheThirtyFourCases) {
  constexpr std::uint64_t t = replay_window_size + 1;
  constexpr std::uint64_t r = reject_after_messages;
  const std::vector<std::pair<std::uint64_t, bool>> cases{{0, true},
                                                          {1, true},
                                                          {1, false},
                                                          {9, true},
                                                          {8, true},
                                                          {7, true},
                                                          {7, false},
                                                          {t, true},
                                                          {t - 1, true},
                                                          {t - 1, false},
                                                          {t - 2, true},
                                                          {2, true},
                                                          {2, false},
                                                          {t + 16, true},
                                                          {3, false},
                                                          {t + 16, false},
                                                          {t * 4, true},
                                                          {t * 4 - (t - 1), true},
                                                          {10, false},
                                                          {t * 4 - t, false},
                                                          {t * 4 - (t + 1), false},
                                                          {t * 4 - (t - 2), true},
                                                          {t * 4 + 1 - t, false},
                                                          {0, false},
                                                          {r, false},
                                                          {r - 1, true},
                                                          {r, false},
                                                          {r - 1, false},
                                                          {r - 2, true},
                                                          {r + 1, false},
                                                          {r + 2, false},
                                                          {r - 2, false},
                                                          {r - 3, true},
                                                          {0, false}};
  ASSERT_EQ(cases.size(), 34U + 0U);
  ReplayWindow window;
  for (std::size_t i = 0; i < cases.size(); ++i)
    EXPECT_EQ(window.accept(cases[i].first), cases[i].second) << "case " << i + 1 << ", counter " << cases[i].first;
}

void expect_all(ReplayWindow& window, std::uint64_t from, std::uint64_t to) {
  for (auto counter = from;; counter += from <= to ? 1 : UINT64_MAX) {
    ASSERT_TRUE(window.accept(counter)) << counter;
    if (counter == to) return;
  }
}

TEST(ReplayWindow, TheSixSweeps) {
  constexpr std::uint64_t w = replay_window_size;
  {
    ReplayWindow window;
    expect_all(window, 1, w);
    EXPECT_TRUE(window.accept(0));
    EXPECT_FALSE(window.accept(0));
  }
  {
    ReplayWindow window;
    expect_all(window, 2, w + 1);
    EXPECT_TRUE(window.accept(1));
    EXPECT_FALSE(window.accept(0));
  }
  {
    ReplayWindow window;
    expect_all(window, w, 0);
  }
  {
    ReplayWindow window;
    expect_all(window, w + 1, 1);
    EXPECT_FALSE(window.accept(0));
  }
  {
    ReplayWindow window;
    expect_all(window, w, 1);
    EXPECT_TRUE(window.accept(w + 1));
    EXPECT_FALSE(window.accept(0));
  }
  {
    ReplayWindow window;
    expect_all(window, w, 1);
    EXPECT_TRUE(window.accept(0));
    EXPECT_TRUE(window.accept(w + 1));
  }
}

// Regression 13: a window of 1024 was too small for what a fast link reorders.
TEST(ReplayWindow, Regression13_HasTheReferenceSize) {
  EXPECT_EQ(replay_ring_bits, 8192U);
  EXPECT_EQ(replay_window_size, 8128U);
  ReplayWindow window;
  EXPECT_TRUE(window.accept(100'000));
  EXPECT_TRUE(window.accept(100'000 - 8128));
  EXPECT_FALSE(window.accept(100'000 - 8129));
}

// Regression 2: counters at the limit end the session instead of wrapping to a nonce that was used.
TEST(ReplayWindow, Regression2_RejectsAfterTheLastMessage) {
  EXPECT_EQ(reject_after_messages, 18446744073709543423U);
  ReplayWindow window;
  EXPECT_TRUE(window.accept(reject_after_messages - 1));
  for (const auto counter : {reject_after_messages, reject_after_messages + 1, UINT64_MAX}) EXPECT_FALSE(window.accept(counter));
}

// Against a set that forgets nothing: random walks with jumps of every size.
TEST(ReplayWindow, AgreesWithASetOfWhatWasSeen) {
  const auto seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20; ++round) {
    ReplayWindow window;
    std::set<std::uint64_t> seen;
    std::uint64_t greatest = 0;
    for (int i = 0; i < 5000; ++i) {
      const auto reach = std::uint64_t{1} << (random() % 15);
      const auto away = random() % reach;
      const auto counter = random() % 2 == 0 ? greatest + away : greatest - std::min(greatest, away);
      const bool inside = counter > greatest || greatest - counter <= replay_window_size;
      const bool expected = inside && seen.insert(counter).second;
      ASSERT_EQ(window.accept(counter), expected) << "counter " << counter << ", greatest " << greatest;
      if (expected) greatest = std::max(greatest, counter);
    }
  }
}

}  // namespace
}  // namespace drpf::protocol::wireguard
