#include "scan/ask/idle_search.h"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace drpf::scan {
namespace {

TEST(IdleSearch, AZombieIsOneThatCounts) {
  const std::uint16_t counting[] = {65534, 65535, 0, 1};
  const std::uint16_t swapped[] = {0x0100, 0x0200, 0x0300};
  const std::uint16_t zero[] = {0, 0, 0, 0};
  const std::uint16_t random[] = {7, 9123, 344, 60000};
  const std::uint16_t busy[] = {7, 8, 11, 12};
  EXPECT_EQ(counting_unit(counting), 1);
  EXPECT_EQ(counting_unit(swapped), 256);
  EXPECT_FALSE(counting_unit(zero));
  EXPECT_FALSE(counting_unit(random));
  EXPECT_FALSE(counting_unit(busy));
}

// `disturbed`: every so manieth look finds a packet of somebody else; `lost`: every so manieth does not see an open port.
std::map<std::uint32_t, State> search(std::size_t ports, const std::set<std::uint32_t>& open, int disturbed, int lost) {
  IdleSearch search(ports, {});
  std::map<std::uint32_t, State> states;
  std::vector<IdleSearch::Decision> decided;
  for (int look = 1; !search.done() && look < 100'000; ++look) {
    std::uint32_t step = 1;
    for (const auto port : search.next()) step += open.contains(port) ? 1 : 0;
    if (lost > 0 && look % lost == 0 && step > 1) --step;
    if (disturbed > 0 && look % disturbed == 0) ++step;
    decided.clear();
    search.told(step, decided);
    for (const auto& decision : decided) EXPECT_TRUE(states.emplace(decision.port, decision.state).second);
  }
  EXPECT_TRUE(search.done());
  return states;
}

TEST(IdleSearch, FindsTheOpenPortsAndTellsEachOnce) {
  const std::set<std::uint32_t> open{0, 1, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 77, 99};
  for (const int disturbed : {0, 7}) {
    for (const int lost : {0, 5}) {
      const auto states = search(100, open, disturbed, lost);
      ASSERT_EQ(states.size(), 100U);
      for (const auto& [port, state] : states) EXPECT_EQ(state, open.contains(port) ? State::open : State::closed_filtered) << port;
    }
  }
}

TEST(IdleSearch, ABusyZombieLeavesPortsUndecided) {
  IdleSearch search(1, {});
  std::vector<IdleSearch::Decision> decided;
  for (unsigned i = 0; i < IdleSearch::busy_max; ++i) search.told(40, decided);
  ASSERT_EQ(decided.size(), 1U);
  EXPECT_EQ(decided[0].state, State::undecided);
  EXPECT_TRUE(search.done());
}

TEST(IdleSearch, LeavesOutWhatIsKnown) {
  IdleSearch search(3, {true, false, true});
  ASSERT_EQ(search.next().size(), 1U);
  EXPECT_EQ(search.next()[0], 1U);
}

}  // namespace
}  // namespace drpf::scan
