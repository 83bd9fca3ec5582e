#include "store/sqlite/backup.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "lease/validation.h"
#include "protocol/wireguard/tai64n.h"
#include "store/sqlite/database.h"
#include "store/sqlite/records.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/sqlite_store.h"
#include "store/sqlite/state_directory.h"

namespace drpf::store::sqlite {

namespace {

// How far above the last known one the generations go on after a restore: more than a gateway gives out between two backups, and there is
// room for four thousand restores.
constexpr std::uint32_t generations_leap = 1U << 20;
constexpr auto stamps_ahead = std::chrono::seconds(60);  // above any floor that a gateway of this clock has written ahead

struct Contents {
  lease::State state;
  std::optional<WireGuardIdentity> identity;
  std::vector<WireGuardPeer> peers;
  ClockReading clock;
};

Result<Contents> read(Database& database) {
  auto records = Records::prepare(database);
  if (!records) return fail(std::move(records.error()));
  Contents contents;
  auto state = records->state();
  if (!state) return fail(std::move(state.error()));
  auto identity = records->identity();
  if (!identity) return fail(std::move(identity.error()));
  auto peers = records->peers();
  if (!peers) return fail(std::move(peers.error()));
  auto clock = records->clock();
  if (!clock) return fail(std::move(clock.error()));
  return Contents{std::move(*state), *identity, std::move(*peers), std::move(*clock)};
}

BackupSummary summary_of(const Contents& contents) {
  return {contents.state.accounts.size(), contents.state.devices.size(), contents.state.leases.size(), contents.clock.wall};
}

struct Opened {
  std::unique_ptr<Database> database;
  Contents contents;
};

Result<Opened> open_image(ByteView image, const std::string& path) {
  auto database = Database::from_image(image, path);
  if (!database) return fail(std::move(database.error()));
  if (auto sound = verify(**database); !sound) return fail(std::move(sound.error()));
  if (auto done = migrate(**database); !done) return fail(std::move(done.error()));
  auto contents = read(**database);
  if (!contents) return fail(std::move(contents.error()));
  if (auto sound = lease::validate(contents->state); !sound) {
    sound.error().message = path + ": " + sound.error().message;
    return fail(std::move(sound.error()));
  }
  return Opened{std::move(*database), std::move(*contents)};
}

// The book that is there, as far as it can be read.
std::optional<Contents> read_living(const std::filesystem::path& path) {
  auto database = Database::open(path.string());
  if (!database || !(*database)->execute("PRAGMA locking_mode = EXCLUSIVE") || !verify(**database)) return std::nullopt;
  auto contents = read(**database);
  if (!contents) return std::nullopt;
  return std::move(*contents);
}

// What was used since the backup was made is not used again.
Status leap(Database& database, Contents& backup, const std::optional<Contents>& living, WallTime now) {
  auto records = Records::prepare(database);
  if (!records) return fail(std::move(records.error()));
  lease::Transaction counters;
  counters.generations_used_to = backup.state.generations_used_to;
  counters.next_id = backup.state.next_id;
  counters.addresses_used_to = backup.state.addresses_used_to;
  std::map<std::array<std::uint8_t, 32>, std::array<std::uint8_t, 12>> stamps;  // greatest that each device's key has sent
  if (living) {
    counters.generations_used_to = std::max(counters.generations_used_to, living->state.generations_used_to);
    counters.next_id = std::max(counters.next_id, living->state.next_id);
    counters.addresses_used_to = std::max(counters.addresses_used_to, living->state.addresses_used_to);
    for (const auto& peer : living->peers) stamps[peer.public_key] = peer.last_timestamp;
  }
  counters.generations_used_to += generations_leap;  // going round is fine: numbers in use are stepped over

  if (auto begun = records->begin.run(); !begun) return begun;
  Status done = records->write_book(counters, backup.clock);
  if (backup.identity) {
    auto& floor = backup.identity->timestamp_floor;
    floor = std::max(floor, protocol::wireguard::tai64n(now + stamps_ahead));
    if (living && living->identity) floor = std::max(floor, living->identity->timestamp_floor);
    if (done) done = records->write(*backup.identity);
  }
  for (auto& peer : backup.peers) {
    const auto newer = stamps.find(peer.public_key);
    if (newer == stamps.end() || newer->second <= peer.last_timestamp) continue;
    peer.last_timestamp = newer->second;
    if (done) done = records->write(peer);
  }
  if (done) done = records->commit.run();
  return done;
}

}  // namespace

Result<BackupSummary> check_backup(ByteView image, const std::string& path) {
  const auto opened = open_image(image, path);
  if (!opened) return fail(opened.error());
  return summary_of(opened->contents);
}

Result<BackupSummary> write_backup(ByteView image, const std::filesystem::path& file, bool replace) {
  std::error_code error;
  if (!replace && std::filesystem::exists(std::filesystem::symlink_status(file, error)))
    return fail(failure("output_failed", fmt::format("{} exists", file.string()), "name another file, or replace it with --force"));
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const system::Fd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto unfinished = std::filesystem::path(fmt::format("{}.{}.part", file.string(), ::getpid()));
  if (auto written = write_private_file(unfinished, image); !written) return fail(written.error());
  const auto written = read_file(unfinished, backup_bytes_max);
  auto summary = written ? check_backup(*written, file.string()) : fail(written.error());
  if (summary)
    if (auto renamed = rename_durably(unfinished, file, directory); !renamed) summary = fail(renamed.error());
  if (!summary) std::filesystem::remove(unfinished, error);
  return summary;
}

Result<Restored> restore(const std::filesystem::path& file, const std::filesystem::path& directory, const RestoreOptions& options) {
  const auto image = read_file(file, backup_bytes_max);
  if (!image) return fail(image.error());
  std::error_code error;
  if (const auto journal = file.string() + "-wal";
      std::filesystem::exists(journal, error) && std::filesystem::file_size(journal, error) > 0)
    return fail(failure("backup_incomplete", fmt::format("{} is not a backup: a part of it is in {}", file.string(), journal),
                        "use a file that `drpf backup` has made"));
  auto backup = open_image(*image, file.string());
  if (!backup) {
    backup.error().cure = "use another backup; nothing was changed";
    return fail(std::move(backup.error()));
  }

  auto lock = lock_state_directory(directory);
  if (!lock) return fail(std::move(lock.error()));
  const auto path = directory / SqliteStore::file_name;
  const auto journal = std::filesystem::path(path.string() + "-wal");
  const bool there = std::filesystem::exists(std::filesystem::symlink_status(path, error));
  std::optional<Contents> living;
  if (there) living = read_living(path);
  if (living && !options.force)
    return fail(refusal("book_exists",
                        fmt::format("{} holds a sound book: {} accounts, {} devices, {} leases, last changed {:%Y-%m-%d %H:%M:%S} UTC",
                                    path.string(), living->state.accounts.size(), living->state.devices.size(), living->state.leases.size(),
                                    fmt::gmtime(std::chrono::system_clock::to_time_t(
                                        std::chrono::time_point_cast<std::chrono::system_clock::duration>(living->clock.wall)))),
                        "with --force it is put aside and the backup takes its place"));
  if (auto done = leap(*backup->database, backup->contents, living, options.now); !done) return fail(std::move(done.error()));
  const auto restored = backup->database->image();
  if (!restored) return fail(restored.error());
  const auto prepared = std::filesystem::path(path.string() + ".new");
  std::filesystem::remove(prepared, error);
  if (auto written = write_private_file(prepared, *restored); !written) return fail(std::move(written.error()));
  if (auto given = give_to_owner(prepared, *lock); !given) return fail(std::move(given.error()));

  Restored result{summary_of(backup->contents), {}};
  if (there || std::filesystem::exists(journal, error)) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options.now.time_since_epoch()).count();
    auto kept = fmt::format("{}.before-restore-{:%Y%m%dT%H%M%SZ}", path.string(), fmt::gmtime(static_cast<std::time_t>(seconds)));
    while (std::filesystem::exists(kept, error)) kept += "+";
    // The database first: without it a start refuses the journal that is left, but a database without its journal would look whole.
    if (there)
      if (auto moved = rename_durably(path, kept, *lock); !moved) return fail(std::move(moved.error()));
    if (std::filesystem::exists(journal, error))
      if (auto moved = rename_durably(journal, kept + "-wal", *lock); !moved) return fail(std::move(moved.error()));
    result.kept = kept;
  }
  if (auto moved = rename_durably(prepared, path, *lock); !moved) return fail(std::move(moved.error()));
  return result;
}

}  // namespace drpf::store::sqlite
