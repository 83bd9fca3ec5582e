#include "store/sqlite/sqlite_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "lease/validation.h"
#include "store/deadlines.h"
#include "store/sqlite/ballast.h"
#include "store/sqlite/database.h"
#include "store/sqlite/records.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/sqlite_lease_history.h"
#include "store/sqlite/state_directory.h"

namespace drpf::store::sqlite {

namespace {

// The journal is carried over into the database after so many pages: what it holds must find room there on a disk that has become full,
// see Ballast::room_min.
constexpr int journal_pages_max = 64;
// What one new record takes, with its indices; generously.
constexpr std::uint64_t bytes_per_record_max = 512;

Status set_up(Database& database) {
  const auto mode = database.text("PRAGMA journal_mode = WAL");
  if (!mode) return fail(mode.error());
  if (*mode != "wal")
    return fail(failure("database_failed", fmt::format("{} does not take WAL mode but stays in {}", database.path(), *mode)));
  return database.execute(
      fmt::format("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; "
                  "PRAGMA secure_delete = ON; "
                  "PRAGMA wal_autocheckpoint = {}; BEGIN EXCLUSIVE; COMMIT",
                  journal_pages_max));
}

// What only a gateway leaves that has had a book: never begin with an empty one, and with another key, where there was one before.
Status was_never_there(const std::filesystem::path& path) {
  std::error_code error;
  for (const char* name : {Ballast::file_name, SqliteLeaseHistory::file_name})
    if (const auto beside = path.parent_path() / name; std::filesystem::exists(std::filesystem::symlink_status(beside, error)))
      return fail(
          failure("database_missing", fmt::format("{} is missing, but {} beside it is there", path.string(), beside.string()),
                  fmt::format("bring the file back, or `drpf restore FILE` a backup; to begin with an empty book and a new key, which "
                              "needs a new configuration for every device, remove {} too",
                              beside.string())));
  return {};
}

Status create(const std::filesystem::path& path, const system::Fd& directory) {
  std::error_code error;
  if (std::filesystem::exists(path.string() + "-wal", error))
    return fail(failure("database_corrupt", fmt::format("{0} is missing, but its journal {0}-wal is there", path.string()),
                        "bring the file back, or `drpf restore FILE` a backup, or move the journal away to begin with an empty book"));
  if (auto first = was_never_there(path); !first) return first;
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
  // Which file a name stands for.
  struct FileNumber {
    dev_t device = 0;
    ino_t number = 0;
    bool operator==(const FileNumber&) const = default;
    static std::optional<FileNumber> of(const std::filesystem::path& path) {
      struct stat status{};
      if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
      return FileNumber{status.st_dev, status.st_ino};
    }
  };

  std::filesystem::path path;
  system::Fd directory;  // holds the lock
  FileNumber file;       // of the database that is open
  std::unique_ptr<Database> database;
  Records records;
  Ballast ballast;
  std::vector<std::string> repairs;

  // Runs `body` inside one transaction; nothing of it stays if it fails.
  template <class Body>
  Status atomically(Body body) {
    if (auto begun = records.begin.run(); !begun) return begun;
    // A failed commit may leave the transaction open, and so does what is thrown.
    struct Close {
      Impl& store;
      ~Close() {
        if (store.database->in_transaction()) (void)store.records.rollback.run();
      }
    } const close{*this};
    Status done = body();
    if (done) done = records.commit.run();
    return done;
  }

  std::uint64_t room_for(const lease::Transaction& transaction) const {
    return Ballast::room_min + transaction.records.size() * bytes_per_record_max;
  }
  bool room_is_short(const lease::Transaction& transaction) const { return !ballast.present() || ballast.room() < room_for(transaction); }
  Result<bool> grows(const lease::Transaction& transaction) {
    for (const auto& record : transaction.records)
      if (const auto adds = records.adds(record); !adds || *adds) return adds;
    return false;
  }
  Error no_room(const lease::Transaction& transaction) const {
    return disk_full(database->path(),
                     fmt::format("{} KiB are left, {} KiB are needed for anything new to be taken in", ballast.room() / 1024,
                                 (room_for(transaction) + (ballast.present() ? 0 : Ballast::size)) / 1024));
  }

  // On a full disk new records are refused while changes and removals go on: they get the ballast's room.
  template <class Body>
  Status within_room(const lease::Transaction& transaction, Body body) {
    if (auto there = put_back_if_removed(); !there) return there;
    ballast.rebuild();
    if (room_is_short(transaction)) {
      const auto growing = grows(transaction);
      if (!growing) return fail(growing.error());
      if (*growing) return fail(no_room(transaction));
    }
    auto done = atomically(body);
    for (const bool give_up : {false, true}) {
      if (done || done.error().code != "disk_full") return done;
      const auto growing = grows(transaction);
      if (!growing || *growing) return done;
      if (give_up) ballast.give_up();
      // The journal begins again at its front, in space that it already has.
      (void)database->execute("PRAGMA wal_checkpoint(RESTART)");
      done = atomically(body);
    }
    return done;
  }

  // The database is still open when its file has been removed: all of it is written anew. A file that somebody has put in its place stays.
  Status put_back_if_removed() {
    const auto named = FileNumber::of(path);
    if (named == file) return {};
    if (named)
      return fail(failure(
          "database_replaced", fmt::format("{} is another file now than the one that the gateway opened", path.string()),
          "stop the gateway before its book is exchanged; `drpf backup FILE` saves what it still holds, a restart takes up the new one"));
    auto whole = database->image();
    if (!whole) return fail(std::move(whole.error()));
    const auto unfinished = path.string() + ".new";
    std::error_code ignored;
    for (const auto& left : {unfinished, path.string() + "-wal"}) std::filesystem::remove(left, ignored);
    auto put = write_private_file(unfinished, *whole);
    if (put) put = rename_durably(unfinished, path, directory);
    if (put) put = open_database();
    if (!put)
      return fail(
          failure("database_removed", fmt::format("{} has been removed, and could not be put back: {}", path.string(), put.error().message),
                  "see that the state directory is there and can be written: `drpf backup FILE` saves what the gateway still holds"));
    repairs.push_back(fmt::format("{} had been removed by somebody, and was written anew", path.string()));
    return {};
  }

  Status open_database() {
    auto opened = Database::open(path.string());
    if (!opened) return fail(std::move(opened.error()));
    // First, for it also keeps the WAL index in our own memory: no -shm file that others could map.
    if (auto done = (*opened)->execute("PRAGMA locking_mode = EXCLUSIVE"); !done) return done;
    // Looked at before anything is written, so that a file that is not ours stays as it is.
    if (auto done = verify(**opened); !done) return done;
    if (auto done = set_up(**opened); !done) return done;
    if (auto done = migrate(**opened); !done) return done;
    auto prepared = Records::prepare(**opened);
    if (!prepared) return fail(std::move(prepared.error()));
    const auto number = FileNumber::of(path);
    if (!number) return fail(failure("database_removed", fmt::format("{} went away while it was opened", path.string())));
    // The statements before the database that they are of.
    records = std::move(*prepared);
    database = std::move(*opened);
    file = *number;
    return {};
  }

  // Brings every deadline to this boot.
  Status convert_deadlines(const ClockReading& now) {
    const auto kept = records.clock();
    if (!kept) return fail(kept.error());
    const auto by = conversion(*kept, now);
    if (!by) return {};
    return records.convert(*by, now);
  }

  Status write(const lease::Transaction& transaction, const Credentials& credentials, const ClockReading& now) {
    return within_room(transaction, [&]() -> Status {
      if (auto done = convert_deadlines(now); !done) return done;
      for (const auto& record : transaction.records)
        if (auto done = records.write(record); !done) return done;
      for (const auto& peer : credentials.wireguard)
        if (auto done = records.write(peer); !done) return done;
      for (const auto& device : credentials.openvpn)
        if (auto done = records.write(device); !done) return done;
      return records.write_book(transaction, now);
    });
  }
};

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteStore::~SqliteStore() = default;

const std::vector<std::string>& SqliteStore::repairs() const { return impl_->repairs; }

std::optional<std::string> SqliteStore::warning() const {
  if (!impl_->room_is_short({})) return std::nullopt;
  const auto error = impl_->no_room({});
  return error.message + ": " + error.cure;
}

Result<Bytes> SqliteStore::image() { return impl_->database->image(); }

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::filesystem::path& directory) {
  auto impl = std::make_unique<Impl>();
  auto lock = lock_state_directory(directory);
  if (!lock) return fail(std::move(lock.error()));
  impl->directory = std::move(*lock);
  impl->path = directory / file_name;
  const auto& path = impl->path;
  std::error_code error;
  if (!std::filesystem::exists(std::filesystem::symlink_status(path, error)))
    if (auto done = create(path, impl->directory); !done) return fail(std::move(done.error()));
  if (std::filesystem::file_size(path, error) == 0 && !error)
    return fail(failure("database_corrupt", fmt::format("{} is empty", path.string()), damaged_cure(path.string())));
  for (const auto& file : {path, std::filesystem::path(path.string() + "-wal")}) {
    if (!std::filesystem::exists(file, error)) continue;
    auto repaired = make_private(file);
    if (!repaired) return fail(std::move(repaired.error()));
    if (!repaired->empty()) impl->repairs.push_back(std::move(*repaired));
  }
  impl->ballast = Ballast(directory);

  if (auto opened = impl->open_database(); !opened) return fail(std::move(opened.error()));
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(impl)));
}

Result<lease::State> SqliteStore::load(const ClockReading& now) {
  // The conversion is kept at once: deadlines of two boots never mix in the file.
  auto converted = impl_->within_room({}, [&]() -> Status {
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

Status SqliteStore::commit_with(const lease::Transaction& transaction, const Credentials& credentials, const ClockReading& now) {
  return impl_->write(transaction, credentials, now);
}

Result<std::optional<WireGuardIdentity>> SqliteStore::load_wireguard_identity() { return impl_->records.identity(); }

Status SqliteStore::save_wireguard_identity(const WireGuardIdentity& identity) {
  return impl_->within_room({}, [&] { return impl_->records.write(identity); });
}

Result<std::optional<OpenVpnIdentity>> SqliteStore::load_openvpn_identity() { return impl_->records.openvpn_identity(); }

Status SqliteStore::save_openvpn_identity(const OpenVpnIdentity& identity) {
  return impl_->within_room({}, [&] { return impl_->records.write(identity); });
}

Result<std::vector<OpenVpnDevice>> SqliteStore::load_openvpn_devices() { return impl_->records.openvpn_devices(); }

Result<std::vector<WireGuardPeer>> SqliteStore::load_wireguard_peers() { return impl_->records.peers(); }

Status SqliteStore::save_wireguard_peers(const std::vector<WireGuardPeer>& peers) {
  return impl_->within_room({}, [&]() -> Status {
    for (const auto& peer : peers)
      if (auto done = impl_->records.write(peer); !done) return done;
    return {};
  });
}

}  // namespace drpf::store::sqlite
