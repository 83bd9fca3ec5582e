#include "system/whole_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "system/fd.h"

namespace drpf::system {
namespace {

Error write_failure(const std::string& path, std::string_view doing) {
  return failure("file_not_written", fmt::format("{} {}: {}", doing, path, std::strerror(errno)),
                 "Is the folder there, writable, and the disk not full?");
}

bool write_all(const Fd& file, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

Status replace_file(const std::string& path, std::string_view text, mode_t mode) {
  const std::filesystem::path target(path);
  const auto name = target.filename().string();
  const auto folder_path = target.has_parent_path() ? target.parent_path().string() : std::string(".");
  // Held open: it may be another one when the file is put in its place.
  const Fd folder(::open(folder_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return fail(write_failure(folder_path, "opening the folder"));
  // A name that nobody can foresee: one that is there already would be in the way.
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number) return fail(write_failure(path, "naming a file beside"));
  const auto beside = fmt::format(".{}.{:016x}.new", name, number);
  const Fd file(::openat(folder.get(), beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, private_file_mode));
  if (!file.valid()) return fail(write_failure(path, "writing"));
  const auto give_up = [&](std::string_view doing) {
    const auto error = write_failure(path, doing);
    ::unlinkat(folder.get(), beside.c_str(), 0);
    return fail(error);
  };
  if (!write_all(file, text)) return give_up("writing");
  // The umask may have taken bits away that readers under other users need.
  if (::fchmod(file.get(), mode) != 0) return give_up("setting the mode of");
  if (::renameat(folder.get(), beside.c_str(), folder.get(), name.c_str()) != 0) return give_up("replacing");
  return {};
}

}  // namespace drpf::system
