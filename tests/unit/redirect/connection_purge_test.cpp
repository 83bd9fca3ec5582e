#include "redirect/connection_purge.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

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

}  // namespace
}  // namespace drpf::redirect
