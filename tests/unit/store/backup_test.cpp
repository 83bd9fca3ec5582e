#include "store/sqlite/backup.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>

#include "conformance/store_conformance.h"
#include "protocol/wireguard/tai64n.h"
#include "store/sqlite/sqlite_store.h"
#include "store/sqlite/state_directory.h"
#include "temporary_directory.h"

namespace drpf::store {
namespace {

using namespace std::chrono_literals;
using sqlite::SqliteStore;

class BackupTest : public ::testing::Test {
 protected:
  std::unique_ptr<SqliteStore> opened() {
    auto store = SqliteStore::open(state());
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(*store) : nullptr;
  }
  // A book with one connected device per name, made through the lease book itself.
  void fill(SqliteStore& store, std::initializer_list<const char*> names) {
    lease::LeaseBook book(conformance::policy(), *store.load(now));
    const auto commit = [&](const lease::Transaction& transaction, const Credentials& credentials = {}) {
      ASSERT_TRUE(store.commit_with(transaction, credentials, now));
      book.apply(transaction);
    };
    for (const auto* name : names) {
      commit(book.add_account(name, std::nullopt)->transaction);
      const auto added = book.add_device(book.account(name)->id, std::string(name) + "-device");
      WireGuardPeer peer;
      peer.device = added->value.id;
      peer.public_key = conformance::key(static_cast<std::uint8_t>(name[0]));
      peer.last_timestamp[0] = 7;
      commit(added->transaction, {{peer}});
      commit(book.connect(peer.device, now.boot)->transaction);
    }
  }
  sqlite::RestoreOptions options(bool force = false) const { return {force, now.wall + 1h}; }
  std::filesystem::path state() const { return directory.path() / "state"; }
  std::filesystem::path file() const { return directory.path() / "backup.db"; }
  sqlite::BackupSummary back_up(SqliteStore& store) {
    const auto image = store.image();
    EXPECT_TRUE(image) << image.error().message;
    const auto written = sqlite::write_backup(*image, file(), false);
    EXPECT_TRUE(written) << written.error().message;
    return written ? *written : sqlite::BackupSummary{};
  }

  TemporaryDirectory directory;
  const ClockReading now = conformance::at(1000s, 0s);
};

TEST_F(BackupTest, IsTheBookAsItWasCommittedLastWhileTheStoreIsInUse) {
  auto store = opened();
  fill(*store, {"ann", "bob"});
  const auto summary = back_up(*store);
  EXPECT_EQ(summary.accounts, 2U);
  EXPECT_EQ(summary.devices, 2U);
  EXPECT_EQ(summary.leases, store->load(now)->leases.size());
  EXPECT_GT(summary.leases, 0U);
  struct stat status{};
  ASSERT_EQ(::stat(file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  fill(*store, {"carl"});  // the store goes on
  // Nothing else is left beside it, and a second one does not replace it by a slip.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 2);
  EXPECT_FALSE(sqlite::write_backup(*store->image(), file(), false));
  EXPECT_EQ(sqlite::write_backup(*store->image(), file(), true)->accounts, 3U);
}

TEST_F(BackupTest, ComesBackWhereTheBookIsGone) {
  auto store = opened();
  fill(*store, {"ann"});
  back_up(*store);
  const auto before = *store->load(now);
  store.reset();
  std::filesystem::remove_all(state());
  const auto restored = sqlite::restore(file(), state(), options());
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(restored->kept, "");
  auto after = *opened()->load(now);
  EXPECT_GT(after.generations_used_to, before.generations_used_to + 100'000);
  after.generations_used_to = before.generations_used_to;
  conformance::expect_equal(before, after);
}

TEST_F(BackupTest, ASoundBookIsReplacedOnlyByForceAndKept) {
  auto store = opened();
  ASSERT_TRUE(store->save_wireguard_identity({conformance::key(1), {}}));
  fill(*store, {"ann"});
  back_up(*store);
  fill(*store, {"bob", "carl"});
  auto later = *store->load_wireguard_peers();
  for (auto& peer : later) peer.last_timestamp[0] = 9;
  ASSERT_TRUE(store->save_wireguard_peers(later));
  WireGuardIdentity identity = **store->load_wireguard_identity();
  identity.timestamp_floor = protocol::wireguard::tai64n(now.wall + 48h);  // as if the wall clock had been ahead
  ASSERT_TRUE(store->save_wireguard_identity(identity));
  const auto living = *store->load(now);

  const auto in_use = sqlite::restore(file(), state(), options(true));
  ASSERT_FALSE(in_use) << "never under a gateway that runs";
  EXPECT_EQ(in_use.error().code, "database_in_use");
  EXPECT_NE(in_use.error().message.find("process " + std::to_string(::getpid())), std::string::npos) << in_use.error().message;
  store.reset();
  const auto refused = sqlite::restore(file(), state(), options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "book_exists");
  EXPECT_NE(refused.error().message.find("3 accounts"), std::string::npos) << refused.error().message;

  const auto restored = sqlite::restore(file(), state(), options(true));
  ASSERT_TRUE(restored) << restored.error().message;
  const auto kept = sqlite::check_backup(*sqlite::read_file(restored->kept, sqlite::backup_bytes_max), restored->kept);
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(kept->accounts, 3U);

  store = opened();
  const auto after = *store->load(now);
  EXPECT_EQ(after.accounts.size(), 1U);
  EXPECT_GT(after.generations_used_to, living.generations_used_to) << "numbers that the kernel may still know are not given out again";
  EXPECT_EQ(after.next_id, living.next_id);
  const auto restored_identity = **store->load_wireguard_identity();
  EXPECT_EQ(restored_identity.timestamp_floor, identity.timestamp_floor) << "stamps never go back";
  const auto peers = *store->load_wireguard_peers();
  ASSERT_EQ(peers.size(), 1U);
  EXPECT_EQ(peers[0].last_timestamp[0], 9) << "an old handshake of a device is not accepted again";
}

TEST_F(BackupTest, AStampFloorIsAheadOfNowWhenTheOldBookIsLost) {
  auto store = opened();
  ASSERT_TRUE(store->save_wireguard_identity({conformance::key(1), {}}));
  back_up(*store);
  store.reset();
  std::ofstream(state() / SqliteStore::file_name) << "scribbled over, and long enough to be looked at: no database any more .............";
  const auto restored = sqlite::restore(file(), state(), options());
  ASSERT_TRUE(restored) << "a damaged book is put aside without force: " << restored.error().message;
  EXPECT_TRUE(std::filesystem::exists(restored->kept));
  EXPECT_GT((**opened()->load_wireguard_identity()).timestamp_floor, protocol::wireguard::tai64n(options().now));
}

TEST_F(BackupTest, WhatIsNoBackupIsRefusedAndNothingIsChanged) {
  auto store = opened();
  fill(*store, {"ann"});
  const auto image = *store->image();
  store.reset();
  auto newer = image;
  newer[63] = 99;  // user_version, big-endian at 60
  auto scribbled = image;
  for (std::size_t at = 4096; at + 4096 <= scribbled.size(); at += 4096) std::memset(&scribbled[at], 0xa5, 64);
  const std::pair<Bytes, const char*> cases[] = {{Bytes{}, "database_corrupt"},
                                                 {Bytes(5000, 'x'), "database_corrupt"},
                                                 {Bytes(image.begin(), image.begin() + 5000), "database_corrupt"},
                                                 {scribbled, "database_corrupt"},
                                                 {newer, "database_newer"}};
  for (const auto& [bytes, code] : cases) {
    std::filesystem::remove(file());
    ASSERT_TRUE(sqlite::write_private_file(file(), bytes));
    const auto refused = sqlite::restore(file(), state(), options(true));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, code) << refused.error().message;
    EXPECT_FALSE(sqlite::write_backup(bytes, directory.path() / "another.db", false)) << "and would not have been written";
  }
  EXPECT_EQ(opened()->load(now)->accounts.size(), 1U);
  EXPECT_FALSE(sqlite::restore(directory.path() / "absent.db", state(), options(true)));
}

}  // namespace
}  // namespace drpf::store
