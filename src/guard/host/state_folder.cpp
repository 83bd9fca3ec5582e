#include "guard/host/state_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "firewall/host/host_ruleset.h"

namespace drpf::guard {
namespace {

constexpr std::size_t state_file_max = 64 * 1024 * 1024;  // the table's text is longer than the rules

Error not_written(std::string_view doing, const std::string& path) {
  const auto code = errno;
  auto message = fmt::format("{} {}: {}; nothing has changed", doing, path, std::strerror(code));
  if (code == EACCES || code == EPERM || code == EROFS)
    return not_permitted("firewall_state", std::move(message), "run it as root, or name a folder of your own: --state DIR");
  return failure("firewall_state", std::move(message), code == ENOSPC ? "make room on the disk" : "is the folder there, and writable?");
}

}  // namespace

StagedFile::StagedFile(StagedFile&& other) noexcept : beside_(std::exchange(other.beside_, {})), target_(std::move(other.target_)) {}

StagedFile::~StagedFile() {
  if (!beside_.empty()) ::unlink(beside_.c_str());
}

Status StagedFile::put() {
  if (::rename(beside_.c_str(), target_.c_str()) != 0) return fail(not_written("replacing", target_));
  beside_.clear();
  // The name too has to be on the disk, or a power cut brings the former rules back.
  const system::Fd folder(::open(std::filesystem::path(target_).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.valid()) ::fsync(folder.get());
  return {};
}

Result<system::Fd> StateFolder::lock() const {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  system::Fd file(::open(path_of("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid() || ::flock(file.get(), LOCK_EX) != 0) return fail(not_written("locking", path_of("lock")));
  return file;
}

Result<std::optional<std::string>> StateFolder::read(std::string_view name) const {
  const auto path = path_of(name);
  const system::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    return fail(failure("firewall_state", fmt::format("reading {}: {}", path, std::strerror(errno)),
                        "run it as root, or name a folder of your own: --state DIR"));
  }
  std::string text;
  char part[16384];
  for (;;) {
    const auto size = ::read(file.get(), part, sizeof part);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail(failure("firewall_state", fmt::format("reading {}: {}", path, std::strerror(errno))));
    if (size == 0) return text;
    text.append(part, static_cast<std::size_t>(size));
    if (text.size() > state_file_max)
      return fail(failure("firewall_state", fmt::format("{} is longer than {} bytes", path, state_file_max)));
  }
}

Result<StagedFile> StateFolder::stage(std::string_view name, std::string_view text) const {
  StagedFile staged(path_of(name) + ".new", path_of(name));
  const system::Fd file(::open(staged.path().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return fail(not_written("writing", staged.path()));
  while (!text.empty()) {
    const auto written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail(not_written("writing", staged.path()));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file.get()) != 0) return fail(not_written("writing", staged.path()));
  return staged;
}

void StateFolder::remove(std::string_view name) const { ::unlink(path_of(name).c_str()); }

}  // namespace drpf::guard
