#include "client/connect/outer_path.h"

#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(SuspendDetector, SeesTheClocksPartOncePerSuspend) {
  SuspendDetector detector;
  EXPECT_FALSE(detector.observe(hours(30), hours(10)));  // slept before we looked
  EXPECT_FALSE(detector.observe(hours(30) + seconds(1), hours(10) + seconds(1)));
  EXPECT_TRUE(detector.observe(hours(31), hours(10) + seconds(2)));
  EXPECT_FALSE(detector.observe(hours(31) + seconds(1), hours(10) + seconds(3)));
  EXPECT_TRUE(detector.observe(hours(32), hours(10) + seconds(4)));
}

TEST(SuspendDetector, IsNotFooledByALateTick) {
  SuspendDetector detector;
  EXPECT_FALSE(detector.observe(seconds(100), seconds(100)));
  EXPECT_FALSE(detector.observe(seconds(160), seconds(160)));  // the process was stopped, the machine was not
  EXPECT_FALSE(detector.observe(seconds(161) + milliseconds(3), seconds(161)));
}

TEST(SourceTowards, LoopbackIsReachedFromLoopback) {
  EXPECT_EQ(source_towards({parse_address("127.0.0.1").value(), Port{9}}, 0), parse_address("127.0.0.1").value());
}

}  // namespace
}  // namespace drpf::client
