#include "system/landlock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "system/fd.h"
#include "system/netlink_socket.h"

namespace drpf::system {
namespace {

// linux/landlock.h of newer kernels than the one that this may be built on.
constexpr std::uint64_t refer = 1ULL << 13;                  // version 2
constexpr std::uint64_t truncate_file = 1ULL << 14;          // version 3
constexpr std::uint64_t ask_device = 1ULL << 15;             // version 5
constexpr std::uint64_t scope_abstract_sockets = 1ULL << 0;  // version 6

struct RulesetAttributes {
  std::uint64_t handled_files = 0;
  std::uint64_t handled_network = 0;  // version 4
  std::uint64_t scoped = 0;           // version 6
};

constexpr std::uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t making =
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR;
constexpr std::uint64_t of_a_file =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | truncate_file | ask_device;

std::uint64_t handled_by(int version) {
  std::uint64_t all = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | reading | making | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                      LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                      LANDLOCK_ACCESS_FS_MAKE_SYM;
  if (version >= 2) all |= refer;
  if (version >= 3) all |= truncate_file;
  if (version >= 5) all |= ask_device;
  return all;
}

std::uint64_t rights_of(FileUse use) {
  switch (use) {
    case FileUse::read:
      return reading;
    case FileUse::run:
      return reading | LANDLOCK_ACCESS_FS_EXECUTE;
    case FileUse::write:
      return reading | LANDLOCK_ACCESS_FS_WRITE_FILE | truncate_file | ask_device;
    case FileUse::keep:
      return reading | LANDLOCK_ACCESS_FS_WRITE_FILE | truncate_file | making | refer;
    case FileUse::sockets:
      return LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE;
  }
  return 0;
}

Status add(int ruleset, const FileRule& rule, std::uint64_t handled) {
  const Fd file(::open(rule.path.c_str(), O_PATH | O_CLOEXEC));
  struct stat status{};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) return {};
  landlock_path_beneath_attr attributes{};
  attributes.allowed_access = rights_of(rule.use) & handled;
  if (!S_ISDIR(status.st_mode)) attributes.allowed_access &= of_a_file;
  attributes.parent_fd = file.get();
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attributes, 0) != 0)
    return fail(errno_failure(errno, "keep the right to use " + rule.path));
  return {};
}

}  // namespace

int landlock_version() {
  const auto version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : static_cast<int>(version);
}

Result<bool> restrict_files(std::span<const FileRule> rules, bool abstract_sockets) {
  const int version = landlock_version();
  if (version == 0) return false;
  RulesetAttributes attributes;
  attributes.handled_files = handled_by(version);
  std::size_t size = sizeof attributes.handled_files;  // all that the first versions know
  if (version >= 6 && !abstract_sockets) {
    attributes.scoped = scope_abstract_sockets;
    size = sizeof attributes;
  }
  const Fd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!ruleset.valid()) return fail(errno_failure(errno, "restrict the files that this process may use"));
  for (const auto& rule : rules)
    if (auto added = add(ruleset.get(), rule, attributes.handled_files); !added) return fail(added.error());
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0)
    return fail(errno_failure(errno, "restrict the files that this process may use"));
  return true;
}

}  // namespace drpf::system
