#include "lease/merge.h"

#include <random>

#include "book_fixture.h"

namespace drpf::lease::test {

// One redirect hears every decision, another only what they add up to: both must end the same.
TEST_F(BookTest, MergedDecisionsAddUpToTheSameRedirect) {
  std::mt19937 random(7);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  ReplayedRedirect in_one;
  std::vector<Transaction> group;
  const auto decided = [&](Transaction transaction) { group.push_back(act(std::move(transaction))); };
  const auto owner = book.add_account("bob", "business");
  decided(owner->transaction);
  const auto made = book.add_device(owner->value.id, "server");
  decided(made->transaction);
  const auto id = made->value.id;
  decided(book.connect(id, now)->transaction);
  std::size_t cancelled = 0;
  for (int round = 0; round < 300; ++round) {
    for (auto left = below(9); left > 0; --left) {
      MappingRequest request;
      request.device = id;
      request.protocol = below(2) == 0 ? Protocol::tcp : Protocol::udp;
      request.internal_port = Port{static_cast<std::uint16_t>(2000 + below(8))};
      request.lifetime = std::chrono::seconds(60 + below(3000));
      request.to_public_number = below(3) == 0;
      if (below(3) != 0) {
        if (auto mapped = book.map(request, now)) decided(mapped->transaction);
      } else {
        MappingEnd end;
        end.device = id;
        end.internal_port = request.internal_port;
        decided(book.end_mappings(end, now)->transaction);
      }
    }
    now += std::chrono::seconds(below(120));
    decided(book.tick(now));
    const auto merged = merge(group);
    std::size_t removed = 0;
    for (const auto& one : group) removed += one.remove.size();
    cancelled += removed - merged.remove.size();
    in_one.carry_out(merged);
    in_one.expect_equal(book.redirections());
    EXPECT_EQ(merged.generations_used_to, book.state().generations_used_to);
    group.clear();
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
  EXPECT_GT(cancelled, 10U) << "some never reach the kernel";
}

}  // namespace drpf::lease::test
