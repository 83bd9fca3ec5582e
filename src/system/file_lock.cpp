#include "system/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace drpf::system {
namespace {

tl::unexpected<Error> lock_failure(const std::string& path, const std::string& why, std::string cure) {
  return fail(failure("lock_failed", fmt::format("the lock {} cannot be used: {}", path, why), std::move(cure)));
}

// Who owns the folder may do there what he likes, and root anywhere.
bool may_own_lock(uid_t owner, const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  struct stat folder{};
  return owner == ::geteuid() || owner == 0 || (::stat(parent.empty() ? "." : parent.c_str(), &folder) == 0 && folder.st_uid == owner);
}

// As the kernel tells it to this process.
std::optional<int> process_that_locks(const struct stat& file) {
  const auto wanted = fmt::format("{:02x}:{:02x}:{}", major(file.st_dev), minor(file.st_dev), file.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    // 1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF
    std::istringstream words(line);
    std::string number, kind, advice, access, inode;
    int pid = 0;
    if (words >> number >> kind >> advice >> access >> pid >> inode && kind == "FLOCK" && inode == wanted && pid > 0) return pid;
  }
  return std::nullopt;
}

}  // namespace

Result<Fd> open_lock_file(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR));
  struct stat status{};
  if (!file.valid() || ::fstat(file.get(), &status) != 0)
    return lock_failure(path, std::strerror(errno), "check the mode of its folder, and who owns the file; remove it if nobody uses it");
  if (!S_ISREG(status.st_mode) || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0 || !may_own_lock(status.st_uid, path))
    return lock_failure(
        path,
        fmt::format("it belongs to user {} with mode {:o}, so that others could hold it for ever", status.st_uid, status.st_mode & 0777U),
        "remove it; where others may write into its folder, choose another folder");
  return file;
}

Result<bool> take_lock(const Fd& file, WhenLocked when) {
  while (::flock(file.get(), LOCK_EX | (when == WhenLocked::wait ? 0 : LOCK_NB)) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) return fail(failure("lock_failed", fmt::format("locking failed: {}", std::strerror(errno))));
  }
  return true;
}

std::string lock_holder(const Fd& file) {
  struct stat status{};
  const auto pid = ::fstat(file.get(), &status) == 0 ? process_that_locks(status) : std::nullopt;
  if (!pid) return {};
  std::string name;
  std::getline(std::ifstream(fmt::format("/proc/{}/comm", *pid)), name);
  return fmt::format("process {}{}", *pid, name.empty() ? "" : " (" + name + ")");
}

std::optional<int> lock_holding_process(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  if (const auto pid = process_that_locks(status)) return pid;
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.valid() && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) return 0;
  return std::nullopt;
}

}  // namespace drpf::system
