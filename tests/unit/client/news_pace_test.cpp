#include "client/follow/news_pace.h"

#include <gtest/gtest.h>

namespace drpf::client {
namespace {

TEST(NewsPace, AStormIsCountedAndSaidOnce) {
  NewsPace pace;
  Time now{std::chrono::seconds(100)};
  std::size_t told = 0;
  for (int i = 0; i < 650; ++i) told += pace.allow(now) ? 1 : 0;
  EXPECT_EQ(told, NewsPace::a_second_max);
  EXPECT_EQ(pace.take_left_out(now), 0U) << "the second is not over";
  now += std::chrono::seconds(1);
  EXPECT_EQ(pace.take_left_out(now), 640U);
  EXPECT_EQ(pace.take_left_out(now), 0U);
  EXPECT_TRUE(pace.allow(now));
}

TEST(NewsPace, AFewAreAllTold) {
  NewsPace pace;
  Time now{std::chrono::seconds(100)};
  for (int i = 0; i < 100; ++i, now += std::chrono::milliseconds(200)) EXPECT_TRUE(pace.allow(now)) << i;
  EXPECT_EQ(pace.take_left_out(now + std::chrono::seconds(9)), 0U);
}

}  // namespace
}  // namespace drpf::client
