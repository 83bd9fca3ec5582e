#include "system/privileges.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <vector>

#include "system/fd.h"
#include "system/netlink_socket.h"

namespace drpf::system {
namespace {

constexpr unsigned capability_setpcap = CAP_SETPCAP;
constexpr unsigned capabilities_max = 64;
constexpr std::size_t password_entry_max = 64 * 1024;

struct Sets {
  __user_cap_data_struct words[2]{};

  std::uint64_t permitted() const { return words[0].permitted | std::uint64_t{words[1].permitted} << 32; }
  std::uint64_t inheritable() const { return words[0].inheritable | std::uint64_t{words[1].inheritable} << 32; }
};

__user_cap_header_struct own_header() { return {_LINUX_CAPABILITY_VERSION_3, 0}; }

Result<Sets> present_sets() {
  Sets sets;
  auto header = own_header();
  if (::syscall(SYS_capget, &header, sets.words) != 0) return fail(errno_failure(errno, "read the capabilities of this process"));
  return sets;
}

Status set_capabilities(std::uint64_t held, std::uint64_t inheritable) {
  Sets sets;
  for (unsigned word = 0; word < 2; ++word) {
    sets.words[word].permitted = sets.words[word].effective = static_cast<std::uint32_t>(held >> 32 * word);
    sets.words[word].inheritable = static_cast<std::uint32_t>(inheritable >> 32 * word);
  }
  auto header = own_header();
  if (::syscall(SYS_capset, &header, sets.words) != 0) return fail(errno_failure(errno, "give up the capabilities of this process"));
  return {};
}

Status call(const char* attempt, int option, unsigned long second = 0, unsigned long third = 0) {
  if (::prctl(option, second, third, 0UL, 0UL) != 0) return fail(errno_failure(errno, attempt));
  return {};
}

Status drop_from_bounding_set(CapabilitySet keep) {
  for (unsigned number = 0; number < capabilities_max; ++number) {
    const int there = ::prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (there < 0) break;  // above what this kernel knows
    if (there == 0 || keep.contains(number)) continue;
    if (auto dropped = call("drop a capability from the bounding set", PR_CAPBSET_DROP, number); !dropped) return dropped;
  }
  return {};
}

Status become(const User& user) {
  if (::setgroups(0, nullptr) != 0 || ::setresgid(user.gid, user.gid, user.gid) != 0 || ::setresuid(user.uid, user.uid, user.uid) != 0)
    return fail(errno_failure(errno, fmt::format("go on as the user {}", user.name)));
  return {};
}

}  // namespace

bool has_capability(Capability capability) {
  auto header = own_header();
  Sets sets;
  if (::syscall(SYS_capget, &header, sets.words) != 0) return false;
  const auto number = static_cast<unsigned>(capability);
  return (sets.words[number / 32].effective >> number % 32 & 1) != 0;
}

std::optional<User> find_user(const std::string& name) {
  std::vector<char> buffer(password_entry_max);
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return std::nullopt;
  return User{name, entry.pw_uid, entry.pw_gid};
}

bool may_use(const User& user, const std::string& path) {
  struct stat file{};
  if (::stat(path.c_str(), &file) != 0) return true;
  const mode_t both = user.uid == file.st_uid ? S_IRUSR | S_IWUSR : user.gid == file.st_gid ? S_IRGRP | S_IWGRP : S_IROTH | S_IWOTH;
  return (file.st_mode & both) == both;
}

Status give_up_privileges(CapabilitySet keep, const std::optional<User>& user) {
  const auto present = present_sets();
  if (!present) return fail(present.error());
  const auto held = present->permitted() & keep.bits();
  // Only who may change the sets can drop the bounding one; who may not (an ordinary user with ambient capabilities) cannot gain either,
  // because of no_new_privs.
  if ((present->permitted() >> capability_setpcap & 1) != 0) {
    if (auto dropped = drop_from_bounding_set(keep); !dropped) return dropped;
    constexpr unsigned long root_is_nobody = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED;
    if (auto set = call("take the rights of the root user from programs", PR_SET_SECUREBITS, root_is_nobody); !set) return set;
  }
  if (user) {  // NO_SETUID_FIXUP keeps the capabilities over the change
    const int dumpable = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    if (auto changed = become(*user); !changed) return changed;
    ::prctl(PR_SET_DUMPABLE, dumpable == 1 ? 1 : 0, 0, 0, 0);  // which the change has set to a value of its own
  }
  if (auto cleared = call("clear the ambient capabilities", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL); !cleared) return cleared;
  if (auto set = set_capabilities(held, 0); !set) {
    // Who started us may have given exactly these, and forbidden to touch them (SystemCallFilter= of a unit).
    const bool is_done = is_errno(set.error(), EPERM) && (present->permitted() | present->inheritable()) == held;
    if (!is_done) return set;
  }
  return call("set no_new_privs", PR_SET_NO_NEW_PRIVS, 1);
}

Status lend_to_program(CapabilitySet lent) {
  const auto present = present_sets();
  if (!present) return fail(present.error());
  const auto bits = present->permitted() & lent.bits();
  if ((present->inheritable() & bits) != bits)
    if (auto set = set_capabilities(present->permitted(), bits); !set) return set;
  for (unsigned number = 0; number < capabilities_max; ++number)
    if ((bits >> number & 1) != 0)
      if (auto raised = call("lend a capability to a program", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number); !raised) return raised;
  return {};
}

bool hide_memory() {
  // Before the next step, which makes this file root's: which kinds of memory a core dump holds (core(5)): none.
  if (const Fd filter(::open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC)); filter.valid()) {
    [[maybe_unused]] const auto written = ::write(filter.get(), "0", 1);
  }
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
  ::setrlimit(RLIMIT_MEMLOCK, &all);
  rlimit locked{};
  // With a limit every allocation beyond it would fail: rather swap than that.
  if (::getrlimit(RLIMIT_MEMLOCK, &locked) != 0 || locked.rlim_cur != RLIM_INFINITY) return false;
  return ::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

std::uint64_t allow_descriptors(std::uint64_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur >= wanted) return limit.rlim_cur;
  const rlimit raised{wanted, std::max<rlim_t>(limit.rlim_max, wanted)};
  if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) return wanted;
  const rlimit possible{std::min<rlim_t>(wanted, limit.rlim_max), limit.rlim_max};
  return ::setrlimit(RLIMIT_NOFILE, &possible) == 0 ? possible.rlim_cur : limit.rlim_cur;
}

}  // namespace drpf::system
