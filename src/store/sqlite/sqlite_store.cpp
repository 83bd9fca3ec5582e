#include "store/sqlite/sqlite_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "lease/validation.h"
#include "store/deadlines.h"
#include "store/sqlite/database.h"
#include "store/sqlite/records.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/state_directory.h"

namespace drpf::store::sqlite {

namespace {

Status set_up(Database& database) {
  const auto mode = database.text("PRAGMA journal_mode = WAL");
  if (!mode) return fail(mode.error());
  if (*mode != "wal")
    return fail(failure("database_failed", fmt::format("{} does not take WAL mode but stays in {}", database.path(), *mode)));
  return database.execute(
      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; BEGIN EXCLUSIVE; "
      "COMMIT");
}

Status create(const std::filesystem::path& path, const system::Fd& directory) {
  std::error_code error;
  if (std::filesystem::exists(path.string() + "-wal", error))
    return fail(failure("database_corrupt", fmt::format("{0} is missing, but its journal {0}-wal is there", path.string()),
                        "bring the file back, or move the journal away to begin with an empty book"));
  const auto unfinished = path.string() + ".new";  // left by a crash while it was made: holds nothing
  for (const auto* suffix : {"", "-wal", "-journal"}) std::filesystem::remove(unfinished + suffix, error);
  if (auto made = create_private_file(unfinished); !made) return made;
  {
    auto database = Database::open(unfinished);
    if (!database) return fail(database.error());
    if (auto done = create_schema(**database); !done) return done;
  }
  return rename_durably(unfinished, path, directory);
}

}  // namespace

struct SqliteStore::Impl {
  system::Fd directory;  // holds the lock
  std::unique_ptr<Database> database;
  Records records;

  // Runs `body` inside one transaction; nothing of it stays if it fails.
  template <class Body>
  Status atomically(Body body) {
    if (auto begun = records.begin.run(); !begun) return begun;
    Status done = body();
    if (done) done = records.commit.run();
    // A failed commit may leave the transaction open.
    if (!done && database->in_transaction()) (void)records.rollback.run();
    return done;
  }

  // Brings every deadline to this boot.
  Status convert_deadlines(const ClockReading& now) {
    const auto kept = records.clock();
    if (!kept) return fail(kept.error());
    const auto by = conversion(*kept, now);
    if (!by) return {};
    return records.convert(*by, now);
  }

  Status write(const lease::Transaction& transaction, const std::vector<WireGuardPeer>& peers, const ClockReading& now) {
    return atomically([&]() -> Status {
      if (auto done = convert_deadlines(now); !done) return done;
      for (const auto& record : transaction.records)
        if (auto done = records.write(record); !done) return done;
      for (const auto& peer : peers)
        if (auto done = records.write(peer); !done) return done;
      return records.write_book(transaction, now);
    });
  }
};

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteStore::~SqliteStore() = default;

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::filesystem::path& directory) {
  auto impl = std::make_unique<Impl>();
  auto lock = lock_state_directory(directory);
  if (!lock) return fail(std::move(lock.error()));
  impl->directory = std::move(*lock);
  const auto path = directory / file_name;
  std::error_code error;
  if (!std::filesystem::exists(std::filesystem::symlink_status(path, error)))
    if (auto done = create(path, impl->directory); !done) return fail(std::move(done.error()));
  if (std::filesystem::file_size(path, error) == 0 && !error)
    return fail(failure("database_corrupt", fmt::format("{} is empty", path.string()),
                        "restore it from a backup, or move it away to begin with an empty book; it was not changed"));

  auto database = Database::open(path.string());
  if (!database) return fail(std::move(database.error()));
  impl->database = std::move(*database);
  // First, for it also keeps the WAL index in our own memory: no -shm file that others could map.
  if (auto done = impl->database->execute("PRAGMA locking_mode = EXCLUSIVE"); !done) return fail(std::move(done.error()));
  // Looked at before anything is written, so that a file that is not ours stays as it is.
  if (auto done = verify(*impl->database); !done) return fail(std::move(done.error()));
  if (auto done = set_up(*impl->database); !done) return fail(std::move(done.error()));
  if (auto done = migrate(*impl->database); !done) return fail(std::move(done.error()));
  auto records = Records::prepare(*impl->database);
  if (!records) return fail(std::move(records.error()));
  impl->records = std::move(*records);
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(impl)));
}

Result<lease::State> SqliteStore::load(const ClockReading& now) {
  // The conversion is kept at once: deadlines of two boots never mix in the file.
  auto converted = impl_->atomically([&]() -> Status {
    if (auto done = impl_->convert_deadlines(now); !done) return done;
    return impl_->records.write_book(lease::Transaction{}, now);
  });
  if (!converted) return fail(std::move(converted.error()));
  auto state = impl_->records.state();
  if (!state) return state;
  if (auto sound = lease::validate(*state); !sound) {
    sound.error().message = impl_->database->path() + ": " + sound.error().message;
    return fail(std::move(sound.error()));
  }
  return state;
}

Status SqliteStore::commit(const lease::Transaction& transaction, const ClockReading& now) { return impl_->write(transaction, {}, now); }

Status SqliteStore::commit_with_peers(const lease::Transaction& transaction, const std::vector<WireGuardPeer>& peers,
                                      const ClockReading& now) {
  return impl_->write(transaction, peers, now);
}

Result<std::optional<WireGuardIdentity>> SqliteStore::load_wireguard_identity() { return impl_->records.identity(); }

Status SqliteStore::save_wireguard_identity(const WireGuardIdentity& identity) {
  return impl_->atomically([&] { return impl_->records.write(identity); });
}

Result<std::vector<WireGuardPeer>> SqliteStore::load_wireguard_peers() { return impl_->records.peers(); }

Status SqliteStore::save_wireguard_peers(const std::vector<WireGuardPeer>& peers) {
  return impl_->atomically([&]() -> Status {
    for (const auto& peer : peers)
      if (auto done = impl_->records.write(peer); !done) return done;
    return {};
  });
}

}  // namespace drpf::store::sqlite
