#include "support/power_loss_disk.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

namespace drpf::tests {

namespace {

struct OpenFile {
  sqlite3_file base;  // first, for SQLite sees this only
  PowerLossDisk* disk;
  std::string* path;  // null for files without a name
  sqlite3_file* real;
};

OpenFile& of(sqlite3_file* file) { return *reinterpret_cast<OpenFile*>(file); }

std::vector<std::uint8_t> contents(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(std::filesystem::file_size(path)));
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

void apply(std::vector<std::uint8_t>& bytes, std::uint64_t offset, const std::uint8_t* from, std::size_t size) {
  if (bytes.size() < offset + size) bytes.resize(offset + size);
  std::memcpy(bytes.data() + offset, from, size);
}

int close_file(sqlite3_file* file) {
  auto& open = of(file);
  const int result = open.real->pMethods ? open.real->pMethods->xClose(open.real) : SQLITE_OK;
  delete open.path;
  sqlite3_free(open.real);
  return result;
}
int read_file(sqlite3_file* file, void* into, int size, sqlite3_int64 offset) {
  auto& open = of(file);
  if (open.disk->is_cut()) return SQLITE_IOERR_READ;
  return open.real->pMethods->xRead(open.real, into, size, offset);
}
int write_file(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  auto& open = of(file);
  const auto* bytes = static_cast<const std::uint8_t*>(from);
  // A write that the power cut hits may have reached the disk in part, so it is remembered before it is counted.
  if (open.path && !open.disk->is_cut())
    open.disk->file(*open.path).pending.push_back({static_cast<std::uint64_t>(offset), {bytes, bytes + size}, {}});
  if (const int code = open.disk->count_operation(); code != SQLITE_OK) {
    if (open.path && !open.disk->is_cut()) open.disk->file(*open.path).pending.pop_back();
    return code == SQLITE_IOERR ? SQLITE_IOERR_WRITE : code;
  }
  return open.real->pMethods->xWrite(open.real, from, size, offset);
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  auto& open = of(file);
  if (const int code = open.disk->count_operation(); code != SQLITE_OK) return code == SQLITE_IOERR ? SQLITE_IOERR_TRUNCATE : code;
  if (open.path) open.disk->file(*open.path).pending.push_back({0, {}, static_cast<std::uint64_t>(size)});
  return open.real->pMethods->xTruncate(open.real, size);
}
int sync_file(sqlite3_file* file, int) {
  auto& open = of(file);
  if (const int code = open.disk->count_operation(); code != SQLITE_OK) return code == SQLITE_IOERR ? SQLITE_IOERR_FSYNC : code;
  if (!open.path) return SQLITE_OK;
  auto& known = open.disk->file(*open.path);
  if (known.removal_pending) known.safe.clear();
  for (const auto& write : known.pending) {
    if (write.truncated_to)
      known.safe.resize(*write.truncated_to);
    else
      apply(known.safe, write.offset, write.bytes.data(), write.bytes.size());
  }
  known.exists = true;
  known.pending.clear();
  known.removal_pending = false;  // a new file's first sync is one of its directory too
  return SQLITE_OK;
}
int file_size(sqlite3_file* file, sqlite3_int64* size) { return of(file).real->pMethods->xFileSize(of(file).real, size); }
int lock_file(sqlite3_file* file, int level) { return of(file).real->pMethods->xLock(of(file).real, level); }
int unlock_file(sqlite3_file* file, int level) { return of(file).real->pMethods->xUnlock(of(file).real, level); }
int check_lock(sqlite3_file* file, int* taken) { return of(file).real->pMethods->xCheckReservedLock(of(file).real, taken); }
int control_file(sqlite3_file* file, int what, void* argument) {
  // Hints that would write around us.
  if (what == SQLITE_FCNTL_SIZE_HINT || what == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_NOTFOUND;
  return of(file).real->pMethods->xFileControl(of(file).real, what, argument);
}
int sector_size(sqlite3_file*) { return static_cast<int>(PowerLossDisk::sector); }
int characteristics(sqlite3_file*) { return 0; }  // promises nothing

const sqlite3_io_methods methods = [] {
  sqlite3_io_methods all{};
  all.iVersion = 1;  // no shared memory, no mapping: with exclusive locking the store needs neither
  all.xClose = close_file;
  all.xRead = read_file;
  all.xWrite = write_file;
  all.xTruncate = truncate_file;
  all.xSync = sync_file;
  all.xFileSize = file_size;
  all.xLock = lock_file;
  all.xUnlock = unlock_file;
  all.xCheckReservedLock = check_lock;
  all.xFileControl = control_file;
  all.xSectorSize = sector_size;
  all.xDeviceCharacteristics = characteristics;
  return all;
}();

PowerLossDisk& disk_of(sqlite3_vfs* vfs) { return *static_cast<PowerLossDisk*>(vfs->pAppData); }

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto& disk = disk_of(vfs);
  auto& open = of(file);
  open = OpenFile{{nullptr}, &disk, nullptr, nullptr};
  if (disk.is_cut()) return SQLITE_CANTOPEN;
  if (name) (void)disk.file(name);  // what is there before it is opened is safe
  open.real = static_cast<sqlite3_file*>(sqlite3_malloc(disk.below().szOsFile));
  std::memset(open.real, 0, static_cast<std::size_t>(disk.below().szOsFile));
  const int result = disk.below().xOpen(&disk.below(), name, open.real, flags, out_flags);
  if (result != SQLITE_OK) {
    sqlite3_free(open.real);
    return result;
  }
  if (name) open.path = new std::string(name);
  open.base.pMethods = &methods;
  return SQLITE_OK;
}
int remove_file(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  auto& disk = disk_of(vfs);
  auto& known = disk.file(name);
  if (const int code = disk.count_operation(); code != SQLITE_OK) return code == SQLITE_IOERR ? SQLITE_IOERR_DELETE : code;
  const int result = disk.below().xDelete(&disk.below(), name, sync_directory);
  if (result != SQLITE_OK) return result;
  if (sync_directory || !known.exists) {
    known = PowerLossDisk::File{};
  } else {
    known.removal_pending = true;
    known.pending.clear();  // from here on of another file of that name
  }
  return SQLITE_OK;
}

}  // namespace

PowerLossDisk::PowerLossDisk(std::uint32_t seed) : below_(sqlite3_vfs_find(nullptr)), vfs_(*below_), random_(seed) {
  vfs_.zName = "power-loss";
  vfs_.szOsFile = sizeof(OpenFile);
  vfs_.pAppData = this;
  vfs_.pNext = nullptr;
  vfs_.xOpen = open_file;
  vfs_.xDelete = remove_file;
  // What is not about files' contents goes to the real one, which expects itself as an argument.
  vfs_.xAccess = [](sqlite3_vfs* vfs, const char* name, int flags, int* out) {
    return disk_of(vfs).below().xAccess(&disk_of(vfs).below(), name, flags, out);
  };
  vfs_.xFullPathname = [](sqlite3_vfs* vfs, const char* name, int size, char* out) {
    return disk_of(vfs).below().xFullPathname(&disk_of(vfs).below(), name, size, out);
  };
  sqlite3_vfs_register(&vfs_, 1);
}

PowerLossDisk::~PowerLossDisk() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(below_, 1);
}

int PowerLossDisk::count_operation() {
  if (is_cut()) return SQLITE_IOERR;
  ++operations_;
  if (is_cut()) return SQLITE_IOERR;
  if (failing_) return failure_;
  if (fail_at_ && operations_ == *fail_at_) return failure_;
  return SQLITE_OK;
}

PowerLossDisk::File& PowerLossDisk::file(const std::string& path) {
  const auto known = files_.find(path);
  if (known != files_.end()) return known->second;
  auto& file = files_[path];
  file.exists = std::filesystem::exists(path);
  if (file.exists) file.safe = contents(path);
  return file;
}

void PowerLossDisk::restore_power() {
  const auto coin = [this] { return std::uniform_int_distribution<int>(0, 1)(random_) == 1; };
  for (auto& [path, file] : files_) {
    auto found = file.safe;
    bool exists = file.exists;
    if (file.removal_pending) {
      if (coin()) {
        file.pending.clear();  // the removal has not reached the disk, nor what came after it
      } else {
        found.clear();
        exists = false;
      }
    }
    for (const auto& write : file.pending) {
      const auto fate = std::uniform_int_distribution<int>(0, 2)(random_);  // none, some sectors, all
      if (fate == 0) continue;
      exists = exists || coin();
      if (write.truncated_to) {
        found.resize(*write.truncated_to);
        continue;
      }
      for (std::uint64_t at = 0; at < write.bytes.size();) {
        const auto size = std::min<std::uint64_t>(write.bytes.size() - at, sector - (write.offset + at) % sector);
        if (fate == 2 || coin()) apply(found, write.offset + at, write.bytes.data() + at, size);
        at += size;
      }
    }
    std::error_code ignored;
    if (!exists) {
      std::filesystem::remove(path, ignored);
    } else {
      std::ofstream stream(path, std::ios::binary | std::ios::trunc);
      stream.write(reinterpret_cast<const char*>(found.data()), static_cast<std::streamsize>(found.size()));
    }
  }
  files_.clear();
  cut_at_.reset();
  fail_at_.reset();
}

}  // namespace drpf::tests
