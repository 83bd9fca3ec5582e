#include "store/sqlite/ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <limits>

#include "system/fd.h"

namespace drpf::store::sqlite {

Ballast::Ballast(const std::filesystem::path& directory) : directory_(directory), path_(directory / file_name), present_(whole()) {
  rebuild();
}

bool Ballast::whole() const {
  struct stat status{};
  // Blocks are of 512 bytes here (stat(2)): a file with holes is no ballast.
  return ::lstat(path_.c_str(), &status) == 0 && S_ISREG(status.st_mode) && static_cast<std::uint64_t>(status.st_size) == size &&
         static_cast<std::uint64_t>(status.st_blocks) * 512 >= size;
}

std::uint64_t Ballast::room() const {
  struct statvfs status{};
  if (::statvfs(directory_.c_str(), &status) != 0) return std::numeric_limits<std::uint64_t>::max();  // then the writing itself will say it
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

void Ballast::rebuild() {
  if (present_ || room() < size + room_min) return;
  ::unlink(path_.c_str());
  const system::Fd file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return;
  // Written, not only reserved: some file systems promise space that they do not have. And not with zeros, which some do not store.
  std::array<char, 4096> block{};
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>((i * 2654435761U) >> 13);
  for (std::uint64_t written = 0; written < size; written += block.size()) {
    if (::write(file.get(), block.data(), block.size()) == static_cast<ssize_t>(block.size())) continue;
    ::unlink(path_.c_str());
    return;
  }
  present_ = ::fsync(file.get()) == 0;
}

void Ballast::give_up() {
  ::unlink(path_.c_str());
  present_ = false;
}

}  // namespace drpf::store::sqlite
