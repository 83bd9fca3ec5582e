#include "store/sqlite/state_directory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace drpf::store::sqlite {

namespace {

tl::unexpected<Error> failed(std::string_view doing, const std::filesystem::path& path, std::string cure) {
  return fail(
      failure("state_directory_failed", fmt::format("cannot {} {}: {}", doing, path.string(), std::strerror(errno)), std::move(cure)));
}

}  // namespace

Result<system::Fd> lock_state_directory(const std::filesystem::path& directory) {
  std::error_code error;
  if (directory.has_parent_path()) std::filesystem::create_directories(directory.parent_path(), error);  // mkdir says what is wrong
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return failed("make the state directory", directory, "check the mode of its parent, or choose another with --state");
  system::Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status{};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0)
    return failed("open the state directory", directory, "check its mode, or choose another with --state");
  if ((status.st_mode & 022) != 0)
    return fail(failure("state_directory_open", fmt::format("others may write into the state directory {}", directory.string()),
                        fmt::format("it holds secret keys: chmod 700 {}", directory.string())));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed("lock the state directory", directory, "");
    return fail(failure("database_in_use", fmt::format("another drpf gateway uses the state directory {}", directory.string()),
                        "end it first, or choose another directory with --state"));
  }
  return fd;
}

Status rename_durably(const std::filesystem::path& from, const std::filesystem::path& to, const system::Fd& directory) {
  const system::Fd file(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid() || ::fsync(file.get()) != 0 || std::rename(from.c_str(), to.c_str()) != 0 || ::fsync(directory.get()) != 0)
    return failed("write", to, "check the disk and the mode of its directory");
  return {};
}

Status create_private_file(const std::filesystem::path& path) {
  const system::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return failed("create", path, "check the mode of its directory");
  return {};
}

}  // namespace drpf::store::sqlite
