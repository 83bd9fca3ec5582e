#include "store/sqlite/state_directory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "system/file_lock.h"

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
  if (::faccessat(AT_FDCWD, directory.c_str(), W_OK, AT_EACCESS) != 0)
    return failed("write into the state directory", directory,
                  errno == EROFS
                      ? "its file system is read-only: look into the kernel's log for why, then mount it writable again; what the "
                        "kernel forwards goes on until each lease's end"
                      : "give it to the user that the gateway runs as: chown and chmod 700; or choose another with --state");
  if ((status.st_mode & 022) != 0)
    return fail(failure("state_directory_open", fmt::format("others may write into the state directory {}", directory.string()),
                        fmt::format("it holds secret keys: chmod 700 {}", directory.string())));
  // Who may open it could hold its lock for ever. Where it is another user's, that one has to see to it.
  if ((status.st_mode & 077) != 0) [[maybe_unused]]
    const auto tried = ::fchmod(fd.get(), 0700);
  const auto locked = system::take_lock(fd);
  if (!locked) return fail(locked.error());
  if (!*locked) {
    const auto holder = system::lock_holder(fd);
    return fail(failure("database_in_use",
                        fmt::format("another drpf uses the state directory {}{}", directory.string(), holder.empty() ? "" : ": " + holder),
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

Status write_private_file(const std::filesystem::path& path, ByteView bytes) {
  const system::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return failed("create", path, errno == EEXIST ? "remove it, or name another" : "check the mode of its directory");
  while (!bytes.empty()) {
    const auto written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) break;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  if (bytes.empty() && ::fsync(file.get()) == 0) return {};
  auto error = failed("write", path, "check the disk");
  ::unlink(path.c_str());
  return error;
}

Status give_to_owner(const std::filesystem::path& path, const system::Fd& directory) {
  struct stat owner{};
  struct stat file{};
  if (::fstat(directory.get(), &owner) != 0 || ::lstat(path.c_str(), &file) != 0) return failed("look at", path, "");
  if (owner.st_uid == file.st_uid && owner.st_gid == file.st_gid) return {};
  if (::lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0)
    return failed("give to the owner of its directory", path, "run this as root, or as the user that the gateway runs as");
  return {};
}

Result<Bytes> read_file(const std::filesystem::path& path, std::uintmax_t size_max) {
  const system::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) return failed("open", path, "check the name and the mode");
  if (!S_ISREG(status.st_mode) || static_cast<std::uintmax_t>(status.st_size) > size_max)
    return fail(invalid("file_unfit", fmt::format("{} is no file, or is larger than {} bytes", path.string(), size_max)));
  Bytes bytes(static_cast<std::size_t>(status.st_size));
  std::size_t size = 0;
  while (size < bytes.size()) {
    const auto part = ::read(file.get(), bytes.data() + size, bytes.size() - size);
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return failed("read", path, "check the disk");
    if (part == 0) break;
    size += static_cast<std::size_t>(part);
  }
  bytes.resize(size);
  return bytes;
}

Result<std::string> make_private(const std::filesystem::path& path) {
  const system::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status{};
  if (!file.valid() || ::fstat(file.get(), &status) != 0)
    return failed("open", path, "check its owner and mode: it must be a file of the gateway's user with mode 600");
  if ((status.st_mode & 077) == 0) return std::string();
  if (::fchmod(file.get(), 0600) != 0) return failed("make private", path, fmt::format("chmod 600 {}", path.string()));
  return fmt::format(
      "{} was open to other users (mode {:o}) and is 600 now; it holds private keys: if somebody may have read it, make new "
      "devices' configurations",
      path.string(), status.st_mode & 0777U);
}

}  // namespace drpf::store::sqlite
