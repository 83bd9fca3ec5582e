#include "simulation/disk.h"

#include <cstdlib>
#include <stdexcept>

#include "store/sqlite/sqlite_store.h"

namespace drpf::simulation {

SqliteDisk::SqliteDisk() {
  // Not a disk, if there is one such place: what is tested is what is written when, not how long a disk takes.
  const std::string base = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path().string();
  auto path = base + "/drpf-simulation-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("no folder for a database in " + base);
  root_ = path;
}

SqliteDisk::~SqliteDisk() {
  store_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

Result<store::Store*> SqliteDisk::open() {
  auto opened = store::sqlite::SqliteStore::open(folder());
  if (!opened) return fail(opened.error());
  store_ = std::move(*opened);
  return store_.get();
}

void SqliteDisk::crash(bool) {
  if (!store_) return;
  // As after kill -9: the files as they are now, journal included, and not as closing them would leave them.
  const auto before = folder();
  ++life_;
  std::filesystem::create_directory(folder());
  std::filesystem::permissions(folder(), std::filesystem::perms::owner_all);
  for (const auto& entry : std::filesystem::directory_iterator(before))
    if (entry.is_regular_file()) std::filesystem::copy_file(entry.path(), folder() / entry.path().filename());
  store_.reset();
  std::filesystem::remove_all(before);
}

}  // namespace drpf::simulation
