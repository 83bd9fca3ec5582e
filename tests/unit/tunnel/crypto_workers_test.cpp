#include "tunnel/wireguard/crypto_workers.h"

#include <array>
#include <atomic>

#include <gtest/gtest.h>

namespace drpf::tunnel::wireguard {
namespace {

TEST(CryptoWorkers, EachJobOfEachRoundIsDoneOnceBeforeTheRoundEnds) {
  CryptoWorkers workers(3, "test");
  std::array<std::atomic<int>, 40> done{};
  for (int round = 1; round <= 20'000; ++round) {
    const auto jobs = static_cast<std::size_t>(round) % done.size();
    for (auto& one : done) one.store(0);
    std::atomic<bool> strange_worker{false};
    workers.share(jobs, [&](std::size_t job, std::size_t worker) {
      done[job].fetch_add(1);
      if (worker > 3) strange_worker = true;
    });
    for (std::size_t job = 0; job < done.size(); ++job)
      ASSERT_EQ(done[job].load(), job < jobs ? 1 : 0) << "round " << round << ", job " << job;
    ASSERT_FALSE(strange_worker);
  }
}

// The owner works on job 0 until all others are done, so it is others who do them.
TEST(CryptoWorkers, TheOthersWorkBesideTheOwner) {
  CryptoWorkers workers(2, "test");
  std::atomic<std::size_t> left{7};
  std::atomic<std::size_t> by_owner{0};
  workers.share(8, [&](std::size_t, std::size_t worker) {
    if (worker != 0) return void(left.fetch_sub(1));
    if (by_owner.fetch_add(1) == 0)
      while (left.load() != 0) std::this_thread::yield();
  });
  EXPECT_EQ(by_owner.load(), 1U);
}

TEST(CryptoWorkers, WithoutThreadsTheOwnerDoesAll) {
  CryptoWorkers workers(0, "test");
  std::size_t done = 0;
  workers.share(5, [&](std::size_t job, std::size_t worker) { done += job + worker; });
  EXPECT_EQ(done, 10U);
}

TEST(CryptoWorkers, AreOfUseFromFourCoresOn) {
  EXPECT_EQ(CryptoWorkers::count_for(1), 0U);
  EXPECT_EQ(CryptoWorkers::count_for(3), 0U);
  EXPECT_EQ(CryptoWorkers::count_for(4), 1U);
  EXPECT_EQ(CryptoWorkers::count_for(8), 3U);
  EXPECT_EQ(CryptoWorkers::count_for(64), 6U);
}

}  // namespace
}  // namespace drpf::tunnel::wireguard
