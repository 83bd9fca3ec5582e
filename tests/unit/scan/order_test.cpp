#include "scan/ask/order.h"

#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace drpf::scan {
namespace {

bool is_permutation(const Order& order) {
  std::vector<bool> seen(order.count());
  for (std::uint64_t i = 0; i < order.count(); ++i) {
    const auto at = order.at(i);
    if (at >= order.count() || seen[at]) return false;
    seen[at] = true;
  }
  return true;
}

TEST(Order, EachIsAskedExactlyOnceWhateverTheCount) {
  for (const std::uint64_t count : {1, 2, 3, 4, 5, 15, 16, 17, 255, 256, 257, 1000, 65535, 65536, 65537})
    EXPECT_TRUE(is_permutation(Order(7, count))) << count;
}

RC_GTEST_PROP(Order, IsAPermutationForEverySeed, (std::uint64_t seed)) {
  RC_ASSERT(is_permutation(Order(seed, *rc::gen::inRange<std::uint64_t>(1, 3000))));
}

TEST(Order, TheSameSeedGivesTheSameOrderAndAnotherDoesNot) {
  const Order one(1, 65536);
  const Order again(1, 65536);
  const Order other(2, 65536);
  int same = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(one.at(i), again.at(i));
    same += one.at(i) == other.at(i) ? 1 : 0;
  }
  EXPECT_LT(same, 10);
}

// Neighbouring ports are not asked one after another, and each eighth of the numbers gets its share of each eighth of the time.
TEST(Order, SpreadsNeighbours) {
  const Order order(99, 65536);
  int close = 0;
  int counts[8][8] = {};
  for (std::uint64_t i = 0; i + 1 < order.count(); ++i) {
    const auto a = order.at(i);
    const auto b = order.at(i + 1);
    close += (a > b ? a - b : b - a) < 16 ? 1 : 0;
    ++counts[i / 8192][a / 8192];
  }
  EXPECT_LT(close, 100);
  for (const auto& row : counts)
    for (const auto count : row) EXPECT_NEAR(count, 1024, 200);
}

}  // namespace
}  // namespace drpf::scan
