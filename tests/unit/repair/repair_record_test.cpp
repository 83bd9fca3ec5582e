#include "repair/repair_record.h"

#include <gtest/gtest.h>

namespace drpf::repair {
namespace {

using namespace std::chrono_literals;

constexpr Time start{1h};

TEST(RepairRecord, SaysWhatAndWho) {
  RepairRecord record;
  EXPECT_EQ(record.note("the routing rules", "", start), "repaired: the routing rules");
  EXPECT_EQ(record.note("the table", "the program 'nft' (process 7)", start),
            "repaired: the table; changed by the program 'nft' (process 7)");
  const auto report = record.report(start + 90s);
  EXPECT_EQ(report.counts, (std::vector<std::pair<std::string, std::uint64_t>>{{"the routing rules", 1}, {"the table", 1}}));
  EXPECT_EQ(report.last, "the table");
  EXPECT_EQ(report.last_culprit, "the program 'nft' (process 7)");
  EXPECT_EQ(report.last_s_ago, 90U);
}

TEST(RepairRecord, AWarOfTwoProgramsDoesNotFillTheLog) {
  RepairRecord record;
  int lines = 0;
  std::string last;
  for (int i = 0; i < 1000; ++i)
    if (const auto line = record.note("the table", "", start + i * 20ms)) ++lines, last = *line;
  EXPECT_EQ(lines, 4);
  EXPECT_EQ(last, "repaired: the table (and 249 times more since this was last said)");
  EXPECT_EQ(record.report(start + 20s).counts.front().second, 1000U);
}

TEST(RepairRecord, MoreThanThreeInAMinuteAreAnAlarmUntilTheMinuteIsOver) {
  RepairRecord record;
  for (int i = 0; i < 3; ++i) record.note("the table", "", start + i * 1s);
  EXPECT_FALSE(record.report(start + 3s).alarm);
  record.note("the routes", "", start + 10s);
  EXPECT_TRUE(record.report(start + 10s).alarm);
  EXPECT_TRUE(record.report(start + 59s).alarm);
  EXPECT_FALSE(record.report(start + 60s).alarm);
}

TEST(RepairRecord, FourInTwoMinutesAreNone) {
  RepairRecord record;
  for (int i = 0; i < 40; ++i) {
    record.note("the table", "", start + i * 25s);
    EXPECT_FALSE(record.report(start + i * 25s).alarm);
  }
}

TEST(RepairRecord, KnowsNothingAtTheBeginning) {
  const auto report = RepairRecord().report(start);
  EXPECT_TRUE(report.counts.empty() && report.last.empty() && !report.alarm);
}

}  // namespace
}  // namespace drpf::repair
