#include "store/sqlite/sqlite_store.h"

#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>

#include "conformance/store_conformance.h"
#include "temporary_directory.h"

namespace drpf::store {

using namespace std::chrono_literals;
using sqlite::SqliteStore;

namespace {

struct SqliteHarness {
  static constexpr bool reopens = true;
  std::unique_ptr<Store> open() {
    auto store = SqliteStore::open(directory.path());
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(*store) : nullptr;
  }
  TemporaryDirectory directory;
};

class SqliteStoreTest : public ::testing::Test {
 protected:
  std::filesystem::path file() const { return directory.path() / SqliteStore::file_name; }
  std::unique_ptr<SqliteStore> opened() {
    auto store = SqliteStore::open(directory.path());
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(*store) : nullptr;
  }
  Error refusal_of_open() {
    auto store = SqliteStore::open(directory.path());
    EXPECT_FALSE(store);
    return store ? Error{} : store.error();
  }
  std::string contents() const {
    std::ifstream stream(file(), std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }
  void write(const std::string& bytes) const { std::ofstream(file(), std::ios::binary | std::ios::trunc) << bytes; }
  void execute(const char* sql) const {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &handle), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(handle, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(handle);
    sqlite3_close(handle);
  }
  static lease::Transaction account(std::uint32_t id) {
    lease::Transaction transaction;
    lease::Account account;
    account.id = lease::AccountId{id};
    account.name = "a" + std::to_string(id);
    account.plan = "personal";
    transaction.records.push_back(lease::PutAccount{account});
    transaction.next_id = id + 1;
    return transaction;
  }

  TemporaryDirectory directory;
  const ClockReading now = conformance::at(1000s, 0s);
};

unsigned mode_of(const std::filesystem::path& path) {
  struct stat status{};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 0777;
}

}  // namespace

namespace conformance {
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, StoreConformance, SqliteHarness);
}

TEST_F(SqliteStoreTest, FilesArePrivate) {
  const auto inner = directory.path() / "a" / "state";
  const auto store = SqliteStore::open(inner);
  ASSERT_TRUE(store) << store.error().message;
  ASSERT_TRUE((*store)->commit(account(1), now));
  EXPECT_EQ(mode_of(inner), 0700U);
  for (const auto& entry : std::filesystem::directory_iterator(inner)) EXPECT_EQ(mode_of(entry.path()), 0600U) << entry.path();
  EXPECT_FALSE(std::filesystem::exists(inner / "drpf.db-shm"));
}

TEST_F(SqliteStoreTest, ASecondGatewayOnTheSameDirectoryIsRefused) {
  auto first = opened();
  const auto error = refusal_of_open();
  EXPECT_EQ(error.code, "database_in_use");
  EXPECT_NE(error.message.find(directory.path().string()), std::string::npos) << error.message;
  ASSERT_TRUE(first->commit(account(1), now)) << "the first goes on";
  first.reset();
  EXPECT_TRUE(opened());
}

TEST_F(SqliteStoreTest, AnotherProgramThatHoldsTheFileIsNamedAsTheReason) {
  opened();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(refusal_of_open().code, "database_in_use");
  sqlite3_close(other);
}

TEST_F(SqliteStoreTest, DamagedFilesAreRefusedAndLeftAsTheyAre) {
  {
    auto store = opened();
    lease::Transaction all;
    for (std::uint32_t id = 1; id <= 500; ++id) all.records.push_back(account(id).records[0]);
    all.next_id = 501;
    ASSERT_TRUE(store->commit(all, now));
  }
  const auto sound = contents();
  ASSERT_GT(sound.size(), 30'000U);
  auto scribbled = sound;
  for (std::size_t page = 4096; page + 4096 <= scribbled.size(); page += 4096) scribbled.replace(page, 64, 64, '\xa5');
  const std::string cases[] = {"", "this is not a database, but long enough to be looked at as one ....................................",
                               sound.substr(0, 5000), sound.substr(0, 100), scribbled};
  for (const auto& bytes : cases) {
    write(bytes);
    const auto error = refusal_of_open();
    EXPECT_EQ(error.code, "database_corrupt") << error.message;
    EXPECT_FALSE(error.cure.empty());
    EXPECT_EQ(contents(), bytes);
  }
  write(sound);
  const auto state = opened()->load(now);
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(state->accounts.size(), 500U);
}

TEST_F(SqliteStoreTest, AMissingFileWithAJournalIsNotReplacedByAnEmptyBook) {
  opened();
  std::filesystem::rename(file(), directory.path() / "elsewhere");
  std::ofstream(file().string() + "-wal") << "x";
  EXPECT_EQ(refusal_of_open().code, "database_corrupt");
}

TEST_F(SqliteStoreTest, AMissingFileIsNotReplacedByAnEmptyBookWhereThereHasBeenOne) {
  opened();
  std::filesystem::remove(file());
  EXPECT_EQ(refusal_of_open().code, "database_missing");
  EXPECT_FALSE(std::filesystem::exists(file()));
  std::filesystem::remove(directory.path() / "ballast");
  EXPECT_TRUE(opened()) << "as the cure says";
}

TEST_F(SqliteStoreTest, AFileThatIsRemovedUnderItIsWrittenAnewBeforeAnythingIsAcknowledged) {
  const auto store = opened();
  ASSERT_TRUE(store->commit(account(1), now));
  for (std::uint32_t id = 2; id < 5; ++id) {
    std::filesystem::remove(file());
    if (id == 3) std::filesystem::remove(file().string() + "-wal");
    ASSERT_TRUE(store->commit(account(id), now));
    EXPECT_EQ(store->repairs().size(), id - 1);
    // What another process would find after a kill.
    std::filesystem::create_directory(directory.path() / std::to_string(id));
    for (const auto* suffix : {"", "-wal"})
      if (std::filesystem::exists(file().string() + suffix))
        std::filesystem::copy(file().string() + suffix,
                              directory.path() / std::to_string(id) / (std::string(SqliteStore::file_name) + suffix));
    std::filesystem::permissions(directory.path() / std::to_string(id), std::filesystem::perms::owner_all);
    auto found = SqliteStore::open(directory.path() / std::to_string(id));
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ((*found)->load(now)->accounts.size(), id);
  }
}

TEST_F(SqliteStoreTest, AFileThatTookItsPlaceIsLeftAndNothingIsAcknowledged) {
  const auto store = opened();
  ASSERT_TRUE(store->commit(account(1), now));
  std::filesystem::rename(file(), directory.path() / "elsewhere");
  write("another book");
  const auto refused = store->commit(account(2), now);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "database_replaced");
  EXPECT_EQ(contents(), "another book");
  EXPECT_TRUE(store->image()) << "what it holds can still be saved";
  std::filesystem::rename(directory.path() / "elsewhere", file());
  EXPECT_TRUE(store->commit(account(2), now));
}

TEST_F(SqliteStoreTest, WithoutItsDirectoryNothingIsAcknowledged) {
  const auto store = opened();
  ASSERT_TRUE(store->commit(account(1), now));
  std::filesystem::remove_all(directory.path());
  const auto refused = store->commit(account(2), now);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "database_removed");
}

TEST_F(SqliteStoreTest, NewerAndForeignDatabasesAreRefused) {
  opened();
  execute("PRAGMA user_version = 99");
  const auto newer = contents();
  const auto error = refusal_of_open();
  EXPECT_EQ(error.code, "database_newer");
  EXPECT_NE(error.message.find("version 99"), std::string::npos) << error.message;
  EXPECT_EQ(contents(), newer);
  execute("PRAGMA user_version = 1; PRAGMA application_id = 7");
  EXPECT_EQ(refusal_of_open().code, "database_foreign");
}

TEST_F(SqliteStoreTest, TheFirstVersionsBookIsReadAndBroughtUpToDate) {
  {
    auto store = opened();
    ASSERT_TRUE(store->commit(account(1), now));
  }
  // What the second version added, taken out again.
  for (const char* column : {"door", "internal_port", "nonce", "description", "local_port_after", "while_connected"})
    execute((std::string("ALTER TABLE leases DROP COLUMN mapping_") + column).c_str());
  execute(
      "DROP TABLE openvpn_devices; DROP TABLE openvpn_identity; ALTER TABLE book DROP COLUMN epoch_started_ns; PRAGMA user_version = 1");
  for (int i = 0; i < 2; ++i) {
    auto store = opened();
    ASSERT_TRUE(store);
    const auto state = store->load(now);
    ASSERT_TRUE(state) << state.error().message;
    ASSERT_EQ(state->accounts.size(), 1U);
    EXPECT_EQ(state->accounts[0].name, "a1");
  }
}

TEST_F(SqliteStoreTest, ABookThatContradictsItselfIsRefused) {
  {
    auto store = opened();
    lease::LeaseBook book(conformance::policy(), {});
    const auto commit = [&](const lease::Transaction& transaction) {
      ASSERT_TRUE(store->commit(transaction, now));
      book.apply(transaction);
    };
    commit(book.add_account("alice", std::nullopt)->transaction);
    commit(book.add_device(book.account("alice")->id, "laptop")->transaction);
    commit(book.connect(book.device("laptop")->id, now.boot)->transaction);
  }
  execute("UPDATE devices SET connected = 0");
  const auto state = opened()->load(now);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, "book_inconsistent") << state.error().message;
  execute("UPDATE devices SET connected = 1; PRAGMA ignore_check_constraints = ON; UPDATE leases SET local_port = 70000");
  EXPECT_EQ(refusal_of_open().code, "database_corrupt");
}

TEST_F(SqliteStoreTest, ACommitThatTheDiskRefusesLeavesNothingAndTheNextOneWorks) {
  auto store = opened();
  ASSERT_TRUE(store->commit(account(1), now));
  lease::Transaction large;
  for (std::uint32_t id = 2; id <= 20'000; ++id) large.records.push_back(account(id).records[0]);
  large.next_id = 20'001;
  struct rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto limited = before;
  limited.rlim_cur = 256 * 1024;  // what is written beyond fails like a full disk
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limited), 0);
  const auto refused = store->commit(large, now);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(file().string()), std::string::npos) << refused.error().message;
  EXPECT_EQ(store->load(now)->accounts.size(), 1U);
  ASSERT_TRUE(store->commit(large, now));
  store.reset();
  EXPECT_EQ(opened()->load(now)->accounts.size(), 20'000U);
}

TEST_F(SqliteStoreTest, AnUnfinishedCreationIsBegunAgain) {
  std::ofstream(file().string() + ".new") << "half a page";
  EXPECT_TRUE(opened());
  EXPECT_FALSE(std::filesystem::exists(file().string() + ".new"));
}

TEST_F(SqliteStoreTest, ADirectoryThatOthersMayWriteIntoIsRefused) {
  ASSERT_EQ(::chmod(directory.path().c_str(), 0777), 0);
  EXPECT_EQ(refusal_of_open().code, "state_directory_open");
}

// A child commits one account after the other and tells each one down a pipe once it is acknowledged; it is killed at some point.
TEST_F(SqliteStoreTest, WhatWasAcknowledgedIsThereAfterAKill) {
  std::uint32_t acknowledged = 0;
  for (unsigned round = 0; round < 30; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const auto child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      auto store = SqliteStore::open(directory.path());
      for (auto id = acknowledged + 1; store; ++id) {
        if (!(*store)->commit(account(id), now)) break;
        if (::write(ends[1], &id, sizeof id) != sizeof id) break;
      }
      ::_exit(1);
    }
    ::close(ends[1]);
    std::uint32_t id = 0;
    const auto kill_after = acknowledged + 1 + round % 7;
    bool killed = false;
    while (::read(ends[0], &id, sizeof id) == sizeof id) {
      EXPECT_EQ(id, acknowledged + 1);
      acknowledged = id;
      if (id >= kill_after && !killed) {
        killed = true;
        // Somewhere inside the next commits, a little later each round.
        ::usleep(round * 150);
        ASSERT_EQ(::kill(child, SIGKILL), 0);
      }
    }
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(killed && WIFSIGNALED(status));
    const auto state = opened()->load(now);
    ASSERT_TRUE(state) << state.error().message;
    ASSERT_GE(state->accounts.size(), acknowledged);
    ASSERT_LE(state->accounts.size(), acknowledged + 1) << "at most the one that was never acknowledged";
    for (std::uint32_t i = 0; i < state->accounts.size(); ++i) EXPECT_EQ(state->accounts[i].name, "a" + std::to_string(i + 1));
    EXPECT_EQ(state->next_id, state->accounts.size() + 1);
    acknowledged = static_cast<std::uint32_t>(state->accounts.size());
  }
}

}  // namespace drpf::store
