// What was acknowledged is there after a power cut at any moment, and after any failure of the disk the book is what it was.
#include <gtest/gtest.h>

#include <cstdlib>

#include "conformance/store_conformance.h"
#include "store/sqlite/sqlite_store.h"
#include "support/power_loss_disk.h"
#include "temporary_directory.h"

namespace drpf::store {
namespace {

using namespace std::chrono_literals;
using sqlite::SqliteStore;
using tests::PowerLossDisk;

// Account number n: added, changed twice and, every third one, removed, so that pages are freed and used again.
lease::Transaction step(std::uint32_t n) {
  lease::Transaction transaction;
  lease::Account account;
  account.id = lease::AccountId{n};
  account.name = "account-" + std::to_string(n) + std::string(40, 'x');
  account.plan = "personal";
  transaction.records.push_back(lease::PutAccount{account});
  if (n > 1) {
    account.id = lease::AccountId{n - 1};
    account.name = "account-" + std::to_string(n - 1) + std::string(40, 'y');
    transaction.records.push_back(lease::PutAccount{account});
  }
  if (n > 3 && n % 3 == 0) transaction.records.push_back(lease::DropAccount{lease::AccountId{n - 3}});
  transaction.next_id = n + 1;
  transaction.generations_used_to = n;
  return transaction;
}

std::vector<lease::Account> expected(std::uint32_t steps) {
  std::map<lease::AccountId, lease::Account> accounts;
  for (std::uint32_t n = 1; n <= steps; ++n)
    for (const auto& record : step(n).records) {
      if (const auto* put = std::get_if<lease::PutAccount>(&record)) accounts[put->account.id] = put->account;
      if (const auto* drop = std::get_if<lease::DropAccount>(&record)) accounts.erase(drop->id);
    }
  std::vector<lease::Account> list;
  for (const auto& [id, account] : accounts) list.push_back(account);
  return list;
}

class PowerLossTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t steps = 36;  // several times round the journal
  static constexpr std::uint32_t steps_per_run = 15;
  const ClockReading now = conformance::at(1000s, 0s);

  // Runs steps after `done`, with a restart now and then, until the disk fails; returns how many were acknowledged.
  std::uint32_t run(const std::filesystem::path& directory, std::uint32_t done) const {
    while (done < steps) {
      auto store = SqliteStore::open(directory);
      if (!store || !(*store)->load(now)) return done;
      for (std::uint32_t n = 0; n < steps_per_run && done < steps; ++n) {
        if (!(*store)->commit(step(done + 1), now)) return done;
        ++done;
      }
    }
    return done;
  }
  void prepare(const std::filesystem::path& directory) const { ASSERT_TRUE(SqliteStore::open(directory)); }
  // The ordinary run takes every fourth operation, the longer one each of them many times.
  static bool longer() {
    const char* set = std::getenv("DRPF_LONGER");
    return set != nullptr && *set == '1';
  }
  static unsigned rounds() { return longer() ? 20 : 1; }
  static std::uint64_t stride() { return longer() ? 1 : 4; }
};

TEST_F(PowerLossTest, WhateverWasAcknowledgedIsThereAfterACutAtAnyOperation) {
  std::uint64_t operations = 0;
  {
    TemporaryDirectory directory;
    prepare(directory.path());
    PowerLossDisk disk(1);
    ASSERT_EQ(run(directory.path(), 0), steps);
    operations = disk.operations();
  }
  ASSERT_GT(operations, 200U);
  std::uint64_t cuts = 0;
  std::uint64_t lost_unacknowledged = 0;
  for (unsigned round = 0; round < rounds(); ++round) {
    for (std::uint64_t at = 1; at <= operations; at += stride()) {
      SCOPED_TRACE("cut at operation " + std::to_string(at) + ", round " + std::to_string(round));
      TemporaryDirectory directory;
      prepare(directory.path());
      PowerLossDisk disk(static_cast<std::uint32_t>(at + round * 100'000));
      disk.cut_at(at);
      const auto acknowledged = run(directory.path(), 0);
      ASSERT_TRUE(disk.is_cut());
      disk.restore_power();
      ++cuts;
      auto store = SqliteStore::open(directory.path());
      ASSERT_TRUE(store) << store.error().message;
      const auto state = (*store)->load(now);
      ASSERT_TRUE(state) << state.error().message;
      const auto there = state->generations_used_to;
      ASSERT_GE(there, acknowledged);
      ASSERT_LE(there, acknowledged + 1) << "at most the one that was under way";
      ASSERT_EQ(state->accounts, expected(there)) << "whole steps only";
      if (there == acknowledged) ++lost_unacknowledged;
      // And it goes on from there.
      ASSERT_TRUE((*store)->commit(step(there + 1), now));
    }
  }
  RecordProperty("cuts", static_cast<int>(cuts));
  std::printf("%llu power cuts, in %llu of them nothing was under way or it was lost\n", static_cast<unsigned long long>(cuts),
              static_cast<unsigned long long>(lost_unacknowledged));
}

TEST_F(PowerLossTest, TheDiskLosesWhatItMayLose) {
  // Without syncs the same cuts must lose something: the disk is no better than a real one.
  unsigned broken = 0;
  for (std::uint64_t at = 150; at <= 190; at += 4) {
    TemporaryDirectory directory;
    prepare(directory.path());
    PowerLossDisk disk(static_cast<std::uint32_t>(at));
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open((directory.path() / SqliteStore::file_name).c_str(), &handle), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(handle, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF", nullptr, nullptr,
                           nullptr),
              SQLITE_OK);
    disk.cut_at(at);
    int acknowledged = 0;
    while (acknowledged < 1000) {
      const auto sql =
          "INSERT INTO accounts VALUES (" + std::to_string(acknowledged + 1) + ", 'a" + std::to_string(acknowledged) + "', 'p', 0)";
      if (sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) break;
      ++acknowledged;
    }
    sqlite3_close(handle);
    disk.restore_power();
    auto store = SqliteStore::open(directory.path());
    const auto state = store ? (*store)->load(now) : fail(store.error());
    if (!state || state->accounts.size() < static_cast<std::size_t>(acknowledged)) ++broken;
  }
  EXPECT_GT(broken, 5U);
}

TEST_F(PowerLossTest, AFailureOfTheDiskLeavesTheBookAsItWas) {
  for (const int code : {SQLITE_IOERR, SQLITE_FULL}) {
    for (std::uint64_t at = 1; at <= 260; at += 4 * stride()) {
      SCOPED_TRACE("failure " + std::to_string(code) + " at operation " + std::to_string(at));
      TemporaryDirectory directory;
      prepare(directory.path());
      PowerLossDisk disk(7);
      auto store = SqliteStore::open(directory.path());
      ASSERT_TRUE(store) << store.error().message;
      ASSERT_TRUE((*store)->load(now));
      disk.fail_at(at, code);
      std::uint32_t done = 0;
      unsigned refused = 0;
      while (done < steps) {
        if ((*store)->commit(step(done + 1), now)) {
          ++done;
          continue;
        }
        ASSERT_LE(++refused, 1U) << "one failure, one refusal";
        const auto state = (*store)->load(now);
        ASSERT_TRUE(state) << state.error().message;
        ASSERT_EQ(state->accounts, expected(done)) << "nothing of what was refused";
      }
      store = fail(Error{});
      auto again = SqliteStore::open(directory.path());
      ASSERT_TRUE(again) << again.error().message;
      ASSERT_EQ((*again)->load(now)->accounts, expected(steps));
    }
  }
}

TEST_F(PowerLossTest, ADiskThatRefusesEverythingForAWhileIsSaidAndWorksAgainAfterwards) {
  const std::pair<int, const char*> cases[] = {
      {SQLITE_READONLY, "database_not_writable"}, {SQLITE_FULL, "disk_full"}, {SQLITE_IOERR, "database_failed"}};
  for (const auto& [code, word] : cases) {
    TemporaryDirectory directory;
    prepare(directory.path());
    PowerLossDisk disk(3);
    auto store = SqliteStore::open(directory.path());
    ASSERT_TRUE(store);
    ASSERT_TRUE((*store)->load(now));
    ASSERT_TRUE((*store)->commit(step(1), now));
    disk.fail_all(code);
    for (int i = 0; i < 3; ++i) {
      const auto refused = (*store)->commit(step(2), now);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, word) << refused.error().message;
      EXPECT_FALSE(refused.error().cure.empty());
    }
    disk.mend();
    ASSERT_TRUE((*store)->commit(step(2), now));
    EXPECT_EQ((*store)->load(now)->accounts, expected(2));
  }
}

}  // namespace
}  // namespace drpf::store
