#include "daemon/connection_table_gauge.h"

#include <gtest/gtest.h>

namespace drpf::daemon {
namespace {

using Change = ConnectionTableGauge::Change;

TEST(ConnectionTableGauge, IsRaisedOnceAndLoweredWellBelow) {
  ConnectionTableGauge gauge;
  EXPECT_EQ(gauge.look(799, 1000, 80), Change::none);
  EXPECT_EQ(gauge.look(800, 1000, 80), Change::raised);
  EXPECT_EQ(gauge.look(1000, 1000, 80), Change::none);
  EXPECT_EQ(gauge.look(750, 1000, 80), Change::none);
  EXPECT_TRUE(gauge.raised());
  EXPECT_EQ(gauge.look(719, 1000, 80), Change::lowered);
  EXPECT_FALSE(gauge.raised());
}

TEST(ConnectionTableGauge, AKernelThatDoesNotTellRaisesNothing) {
  ConnectionTableGauge gauge;
  EXPECT_EQ(gauge.look(0, 0, 80), Change::none);
}

}  // namespace
}  // namespace drpf::daemon
