#include "store/memory/memory_store.h"

#include "conformance/store_conformance.h"

namespace drpf::store {

namespace {
struct MemoryHarness {
  static constexpr bool reopens = false;
  std::unique_ptr<Store> open() { return std::make_unique<memory::MemoryStore>(); }
};
}  // namespace

namespace conformance {
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, StoreConformance, MemoryHarness);
}

TEST(MemoryStore, FailsOnceWhenTold) {
  memory::MemoryStore store;
  store.fail_next();
  const auto now = conformance::at(std::chrono::seconds(1), std::chrono::seconds(1));
  EXPECT_FALSE(store.commit({}, now));
  EXPECT_TRUE(store.commit({}, now));
}

}  // namespace drpf::store
