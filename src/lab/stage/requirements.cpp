#include "lab/stage/requirements.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "system/fd.h"
#include "system/process.h"

namespace drpf::lab {
namespace {

std::string read_setting(const char* path) {
  std::ifstream file(path);
  std::string value;
  std::getline(file, value);
  return value;
}

void find_missing_programs(std::span<const Requirement> requirements, std::vector<Missing>& missing) {
  std::vector<std::string> programs;
  std::vector<std::string> packages;
  for (const Requirement& requirement : requirements) {
    if (!system::find_program(requirement.program).empty()) continue;
    programs.emplace_back(requirement.program);
    if (packages.empty() || packages.back() != requirement.package) packages.emplace_back(requirement.package);
  }
  if (programs.empty()) return;
  missing.push_back({fmt::format("{} not installed: {}", programs.size() == 1 ? "a program is" : "programs are", fmt::join(programs, ", ")),
                     fmt::format("sudo apt install {}", fmt::join(packages, " "))});
}

void find_missing_tun(const std::string& command, std::vector<Missing>& missing) {
  const system::Fd tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (tun.valid()) return;
  switch (errno) {
    case ENOENT:
      missing.push_back(
          {"/dev/net/tun does not exist", "sudo modprobe tun; in a container: start it with --device /dev/net/tun (docker, podman)"});
      break;
    case EACCES:
    case EPERM:
      missing.push_back({fmt::format("/dev/net/tun cannot be opened by user {}: {}", ::getuid(), std::strerror(errno)),
                         "sudo chmod 666 /dev/net/tun (Debian's own setting), or run this as root: sudo " + command});
      break;
    default:
      missing.push_back({fmt::format("/dev/net/tun cannot be opened: {}", std::strerror(errno)),
                         "sudo modprobe tun; a kernel without CONFIG_TUN cannot run this"});
  }
}

constexpr const char* container_hint =
    "in a container: start it with --privileged, or with --cap-add SYS_ADMIN,NET_ADMIN and seccomp=unconfined";

}  // namespace

std::vector<Missing> find_missing(std::span<const Requirement> programs, const std::string& command) {
  std::vector<Missing> missing;
  find_missing_programs(programs, missing);
  find_missing_tun(command, missing);
  return missing;
}

Missing explain_refused_namespaces(int error_number, bool user_namespace, const std::string& command) {
  const char* kinds = user_namespace ? "user, network, mount and process namespaces" : "network, mount and process namespaces";
  std::string what = fmt::format("the kernel refuses {}: {}", kinds, std::strerror(error_number));
  if (read_setting("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
    return {what + " (kernel.unprivileged_userns_clone is 0)",
            "sudo sysctl kernel.unprivileged_userns_clone=1, or run this as root: sudo " + command};
  }
  for (const char* kind : {"user", "net", "mnt", "pid"}) {
    if (read_setting(fmt::format("/proc/sys/user/max_{}_namespaces", kind).c_str()) != "0") continue;
    return {fmt::format("{} (user.max_{}_namespaces is 0)", what, kind), fmt::format("sudo sysctl user.max_{}_namespaces=10000", kind)};
  }
  if (error_number == ENOSPC)
    return {what, "raise the limits user.max_*_namespaces (sudo sysctl), or end other programs that hold namespaces"};
  if (error_number == EINVAL) return {what, "a kernel with CONFIG_USER_NS, CONFIG_NET_NS and CONFIG_PID_NS is needed"};
  return {what, fmt::format("{}{}", user_namespace ? fmt::format("run this as root: sudo {}; ", command) : std::string(), container_hint)};
}

Missing explain_powerless_namespaces(const Error& attempt, bool user_namespace, const std::string& command) {
  std::string what = fmt::format("namespaces can be made here, but give no rights inside: {}", attempt.message);
  if (user_namespace && read_setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return {what + " (kernel.apparmor_restrict_unprivileged_userns is 1)",
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run this as root: sudo " + command};
  }
  return {what, fmt::format("{}{}", user_namespace ? fmt::format("run this as root: sudo {}; ", command) : std::string(), container_hint)};
}

}  // namespace drpf::lab
