#include "redirect/mark_blocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace drpf::redirect {
namespace {

using system::MarkBlock;

TEST(MarkBlocks, ARowIsAFewBlocks) {
  std::vector<std::uint32_t> row;
  for (std::uint32_t mark = 1001; mark <= 1010; ++mark) row.push_back(mark);
  const auto blocks = mark_blocks(row, [](auto, auto) { return false; });
  EXPECT_THAT(blocks,
              testing::ElementsAre(MarkBlock{1001}, MarkBlock{1002, ~1U}, MarkBlock{1004, ~3U}, MarkBlock{1008, ~1U}, MarkBlock{1010}));
}

TEST(MarkBlocks, TheHighestMarksDoNotOverflow) {
  const std::vector<std::uint32_t> marks{0x80000000, 0xffffffff};
  const auto blocks = mark_blocks(marks, [](auto, auto) { return false; });
  EXPECT_THAT(blocks, testing::ElementsAre(MarkBlock{0x80000000, 0x80000000}));
}

RC_GTEST_PROP(MarkBlocks, CoverEveryMarkAndNoneThatIsUsed, ()) {
  const auto ended = *rc::gen::container<std::set<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(1, 300));
  auto used = *rc::gen::container<std::set<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(0, 300));
  for (const auto mark : ended) used.erase(mark);
  const std::vector<std::uint32_t> marks(ended.begin(), ended.end());
  const auto blocks = mark_blocks(marks, [&](std::uint32_t first, std::uint32_t last) {
    const auto found = used.lower_bound(first);
    return found != used.end() && *found <= last;
  });
  for (std::uint32_t mark = 0; mark < 600; ++mark) {
    std::size_t matched = 0;
    for (const auto& block : blocks) matched += (mark & block.mask) == block.value ? 1 : 0;
    if (ended.contains(mark)) RC_ASSERT(matched == 1U);
    if (used.contains(mark) || mark == 0) RC_ASSERT(matched == 0U);
    if (!marks.empty() && (mark < marks.front() || mark > marks.back())) RC_ASSERT(matched == 0U);
  }
}

}  // namespace
}  // namespace drpf::redirect
