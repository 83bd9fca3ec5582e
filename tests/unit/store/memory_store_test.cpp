#include "support/memory_store.h"

#include "conformance/store_conformance.h"

namespace drpf::store {

namespace {
struct MemoryHarness {
  static constexpr bool reopens = false;
  std::unique_ptr<Store> open() { return std::make_unique<tests::MemoryStore>(); }
};
}  // namespace

namespace conformance {
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, StoreConformance, MemoryHarness);
}

TEST(MemoryStore, FailsOnceWhenTold) {
  tests::MemoryStore store;
  store.fail_next();
  const auto now = conformance::at(std::chrono::seconds(1), std::chrono::seconds(1));
  EXPECT_FALSE(store.commit({}, now));
  EXPECT_TRUE(store.commit({}, now));
}

}  // namespace drpf::store
