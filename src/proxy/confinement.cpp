#include "proxy/confinement.h"

#include <spdlog/logger.h>

#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <vector>

#include "system/fd.h"
#include "system/landlock.h"
#include "system/privileges.h"
#include "system/seccomp.h"

namespace drpf::proxy {
namespace {

using system::FileRule;
using system::FileUse;

// That owns nothing: the first of these that there is.
constexpr std::array users{"drpf-proxy", "nobody"};

// What the resolver of the C library reads.
std::vector<FileRule> files_of_resolver() {
  std::vector<FileRule> rules{{"/dev/null", FileUse::write}};
  for (const auto* const path : {"/usr/lib", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf",
                                 "/etc/resolv.conf", "/etc/gai.conf", "/etc/services", "/etc/passwd", "/etc/localtime",
                                 "/usr/share/zoneinfo", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager"})
    rules.push_back({path, FileUse::read});
  return rules;
}

// Nothing where this process is nobody special, or the user namespace has no such user.
std::optional<system::User> choose_user() {
  if (::geteuid() != 0) return std::nullopt;
  for (const auto* const name : users) {
    auto user = system::find_user(name);
    if (!user) continue;
    int ends[2];
    if (::pipe(ends) != 0) return std::nullopt;
    const system::Fd first(ends[0]);
    const system::Fd second(ends[1]);
    if (::fchown(first.get(), user->uid, user->gid) == 0 || errno != EINVAL) return user;
  }
  return std::nullopt;
}

}  // namespace

Status give_up_rights(spdlog::logger& log) {
  const auto user = choose_user();
  if (!user && ::geteuid() == 0) log.warn("the proxy stays root, without rights: there is no user drpf-proxy or nobody here");
  return system::give_up_privileges({}, user);
}

Status confine(spdlog::logger& log) {
  if (auto given_up = give_up_rights(log); !given_up) return given_up;
  const auto files = system::restrict_files(files_of_resolver(), false);
  if (!files) return fail(files.error());
  for (const auto policy : {system::SyscallPolicy::gateway, system::SyscallPolicy::no_unix_sockets})
    if (auto restricted = system::restrict_syscalls(policy); !restricted) return restricted;
  return {};
}

}  // namespace drpf::proxy
