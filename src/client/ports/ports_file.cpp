#include "client/ports/ports_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "system/fd.h"

namespace drpf::client {
namespace {

Error write_error(const std::string& path, std::string_view doing) {
  return failure("file_not_written", fmt::format("{} {}: {}", doing, path, std::strerror(errno)),
                 "Is the folder there, writable, and the disk not full?");
}

}  // namespace

Status replace_file(const std::string& path, std::string_view text) {
  const std::string beside = fmt::format("{}.{}.new", path, ::getpid());
  ::unlink(beside.c_str());  // what a killed process of the same number left
  {
    const system::Fd file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!file.valid()) return fail(write_error(path, "writing"));
    std::string_view left = text;
    while (!left.empty()) {
      const auto written = ::write(file.get(), left.data(), left.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        const auto error = write_error(path, "writing");
        ::unlink(beside.c_str());
        return fail(error);
      }
      left.remove_prefix(static_cast<std::size_t>(written));
    }
    // The umask may have taken bits away that readers under other users need.
    if (::fchmod(file.get(), 0644) != 0) {
      const auto error = write_error(path, "setting the mode of");
      ::unlink(beside.c_str());
      return fail(error);
    }
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) {
    const auto error = write_error(path, "replacing");
    ::unlink(beside.c_str());
    return fail(error);
  }
  return {};
}

}  // namespace drpf::client
