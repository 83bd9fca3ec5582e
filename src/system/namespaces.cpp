#include "system/namespaces.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace drpf::system {
namespace {

Error system_failure(std::string code, const std::string& attempt) {
  return failure(std::move(code), fmt::format("cannot {}: {}", attempt, std::strerror(errno)));
}

std::string names_of(int clone_flags) {
  std::string names;
  constexpr std::pair<int, const char*> kinds[] = {
      {CLONE_NEWUSER, "user"}, {CLONE_NEWNET, "network"}, {CLONE_NEWNS, "mount"}, {CLONE_NEWPID, "process"}};
  for (const auto& [flag, name] : kinds) {
    if ((clone_flags & flag) != 0) names += (names.empty() ? "" : " and ") + std::string(name);
  }
  return names;
}

Result<Fd> open_namespace(const char* kind) {
  Fd fd(::open(fmt::format("/proc/self/ns/{}", kind).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail(system_failure("namespace", fmt::format("open /proc/self/ns/{}", kind)));
  return fd;
}

Status write_file(const std::string& path, const std::string& text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid() || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return fail(system_failure("write", fmt::format("write \"{}\" to {}", text, path)));
  }
  return {};
}

}  // namespace

Status unshare(int clone_flags) {
  if (::unshare(clone_flags) != 0) return fail(system_failure("namespaces", fmt::format("make a {} namespace", names_of(clone_flags))));
  return {};
}

Result<NamespacePair> current_namespaces() {
  Result<Fd> net = open_namespace("net");
  if (!net) return fail(net.error());
  Result<Fd> mount = open_namespace("mnt");
  if (!mount) return fail(mount.error());
  return NamespacePair{std::move(*net), std::move(*mount)};
}

Result<NamespacePair> make_namespaces(Status (*prepare)()) {
  const Result<NamespacePair> home = current_namespaces();
  if (!home) return fail(home.error());
  if (const Status made = unshare(CLONE_NEWNET | CLONE_NEWNS); !made) return fail(made.error());
  const Status prepared = prepare();
  Result<NamespacePair> inside = current_namespaces();
  if (const Status back = enter(*home); !back) return fail(back.error());
  if (!prepared) return fail(prepared.error());
  return inside;
}

Status enter(const NamespacePair& namespaces) {
  if (::setns(namespaces.mount.get(), CLONE_NEWNS) != 0) return fail(system_failure("setns", "enter a mount namespace"));
  return enter_network(namespaces);
}

Status enter_network(const NamespacePair& namespaces) {
  if (::setns(namespaces.net.get(), CLONE_NEWNET) != 0) return fail(system_failure("setns", "enter a network namespace"));
  return {};
}

Status map_own_ids(uid_t outside_uid, gid_t outside_gid, uid_t inside_uid, gid_t inside_gid) {
  // user_namespaces(7): without privileges outside, gid_map can be written only once setgroups(2) is given up.
  if (const Status denied = write_file("/proc/self/setgroups", "deny"); !denied) return denied;
  if (const Status mapped = write_file("/proc/self/gid_map", fmt::format("{} {} 1", inside_gid, outside_gid)); !mapped) return mapped;
  return write_file("/proc/self/uid_map", fmt::format("{} {} 1", inside_uid, outside_uid));
}

Status make_mounts_private() {
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return fail(system_failure("mount", "make the mounts private"));
  return {};
}

Status mount_tmpfs(const std::string& folder, const std::string& options) {
  if (::mount("none", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return fail(system_failure("mount", fmt::format("mount a tmpfs on {}", folder)));
  }
  return {};
}

Status mount_bind(const Fd& folder, const std::string& at) {
  if (::mount(fmt::format("/proc/self/fd/{}", folder.get()).c_str(), at.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    return fail(system_failure("mount", fmt::format("show a folder at {}", at)));
  }
  return {};
}

Status mount_proc() {
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) return fail(system_failure("mount", "mount /proc"));
  return {};
}

}  // namespace drpf::system
