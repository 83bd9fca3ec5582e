#include "system/secret_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace drpf::cli {

Result<SecretFile> SecretFile::create(const std::string& path) {
  system::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid())
    return fail(failure("output_failed", "cannot create the file " + path + ": " + std::strerror(errno),
                        errno == EEXIST ? "remove the file, or name another" : "check the path and its permissions"));
  return SecretFile(path, std::move(fd));
}

SecretFile::~SecretFile() {
  if (fd_.valid() && !written_) ::unlink(path_.c_str());
}

Status SecretFile::write(std::string_view text) {
  while (!text.empty()) {
    const auto size = ::write(fd_.get(), text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail(failure("output_failed", "cannot write the file " + path_ + ": " + std::strerror(errno), "check the disk"));
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  written_ = true;
  return {};
}

}  // namespace drpf::cli
