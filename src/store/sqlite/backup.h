// Backups of the store: read back, and put in the place of what is there. Only while no gateway runs on the directory; the running one
// gives its image itself (SqliteStore::image).
#pragma once

#include <filesystem>
#include <string>

#include "core/bytes.h"
#include "core/result.h"
#include "core/time.h"

namespace drpf::store::sqlite {

constexpr std::uintmax_t backup_bytes_max = std::uintmax_t{1} << 30;

struct BackupSummary {
  std::size_t accounts = 0;
  std::size_t devices = 0;
  std::size_t leases = 0;
  WallTime written;  // the last change in it
};

// Reads the whole of it: refuses what a gateway would refuse. `path` is for the messages.
Result<BackupSummary> check_backup(ByteView image, const std::string& path);
// Writes an image as a file that only its owner may read, checked by reading it back. Atomic; replaces an older backup of that name only
// with `replace`.
Result<BackupSummary> write_backup(ByteView image, const std::filesystem::path& file, bool replace);

struct RestoreOptions {
  bool force = false;  // also over a sound book
  WallTime now;
};
struct Restored {
  BackupSummary summary;
  std::string kept;  // where the book that was there is now; empty = there was none
};
// Takes the directory's lock for itself. Numbers that were given out after the backup are not given out again: generations go on far above,
// and WireGuard's stamps never go back.
Result<Restored> restore(const std::filesystem::path& file, const std::filesystem::path& directory, const RestoreOptions& options);

}  // namespace drpf::store::sqlite
