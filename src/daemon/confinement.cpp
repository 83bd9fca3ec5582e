#include "daemon/confinement.h"

#include <spdlog/logger.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "system/fd.h"
#include "system/nft_program.h"
#include "system/privileges.h"
#include "system/process.h"
#include "system/seccomp.h"

namespace drpf::daemon {
namespace {

using system::Capability;

constexpr std::uint64_t descriptors_beside_api = 1024;

// False where this user cannot be had here: a user namespace without it.
Result<bool> give(const std::filesystem::path& path, const system::User& user) {
  if (::fchownat(AT_FDCWD, path.c_str(), user.uid, user.gid, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == EINVAL) return false;
  return fail(failure("state_not_given",
                      fmt::format("could not give {} to the user {}: {}", path.string(), user.name, std::strerror(errno)),
                      "[daemon] user = \"root\" keeps the gateway's files root's"));
}

Result<bool> give_state(const RunOptions& options, const system::User& user) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(options.state_directory, error);
  fs::permissions(options.state_directory, fs::perms::owner_all, error);
  auto given = give(options.state_directory, user);
  if (!given || !*given) return given;
  for (const auto& entry : fs::recursive_directory_iterator(options.state_directory, error))
    if (auto done = give(entry.path(), user); !done) return done;
  return true;
}

// Folders for sockets. One that is there already and holds what is not ours stays as it is.
void give_socket_folder(const std::filesystem::path& folder, const std::filesystem::path& own_socket, const system::User& user) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(folder, error);
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path() != own_socket) return;
  (void)give(folder, user);  // what it is needed for says so itself if it fails
}

Result<std::optional<system::User>> choose_user(const configuration::Configuration& configuration, const RunOptions& options,
                                                spdlog::logger& log) {
  constexpr auto stays = "the gateway stays root, with no rights but to change the network and to take ports below 1024";
  if (::geteuid() != 0 || configuration.user == "root") return std::nullopt;
  auto user = system::find_user(configuration.user);
  if (!user) {
    log.info("there is no user {}: {}", configuration.user, stays);
    return std::nullopt;
  }
  const auto given = give_state(options, *user);
  if (!given) return fail(given.error());
  if (!*given) {
    log.info("the user {} is not in this user namespace: {}", configuration.user, stays);
    return std::nullopt;
  }
  give_socket_folder(std::filesystem::path(options.socket_path).parent_path(), options.socket_path, *user);
  give_socket_folder(control_socket_folder, std::filesystem::path(control_socket_folder) / (configuration.tunnel_interface + ".sock"),
                     *user);
  return user;
}

// Without these nothing works; said before anything is changed.
Status prove_means() {
  if (!system::has_capability(Capability::net_admin))
    return fail(not_permitted("no_permission", "the gateway changes the network of this machine, which this process may not",
                              "run it as root, or with the capability CAP_NET_ADMIN"));
  if (system::find_program("nft").empty())
    return fail(unavailable("nft_missing", "the program nft is not installed", "apt install nftables"));
  const system::Fd tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!tun.valid())
    return fail((errno == EPERM || errno == EACCES ? not_permitted : unavailable)(
        "tun_unavailable", fmt::format("/dev/net/tun cannot be opened: {}", std::strerror(errno)),
        "modprobe tun; in a container, pass the device /dev/net/tun in"));
  return {};
}

}  // namespace

Status confine(const configuration::Configuration& configuration, const RunOptions& options, spdlog::logger& log) {
  if (auto means = prove_means(); !means) return means;
  const auto user = choose_user(configuration, options, log);
  if (!user) return fail(user.error());

  const auto descriptors = configuration.limits.api_connections_max + descriptors_beside_api;
  if (const auto allowed = system::allow_descriptors(descriptors); allowed < descriptors)
    log.warn("this process may open {} files, and {} connections to the API may need {}; raise the limit (ulimit -n)", allowed,
             configuration.limits.api_connections_max, descriptors);
  auto aside = system::put_nft_aside([&]() -> Status {
    if (auto given_up = system::give_up_privileges({Capability::net_admin}, *user); !given_up) return given_up;
    return system::restrict_syscalls(system::SyscallPolicy::programs);
  });
  if (!aside) return aside;
  if (!system::hide_memory()) log.info("keys may be written to swap: the limit on locked memory does not allow to keep them out of it");
  if (auto given_up = system::give_up_privileges({Capability::net_admin, Capability::net_bind_service}, *user); !given_up) return given_up;
  if (auto restricted = system::restrict_syscalls(system::SyscallPolicy::gateway); !restricted) return restricted;

  if (*user && options.config_file && ::access(options.config_file->c_str(), R_OK) != 0)
    log.warn("the user {} cannot read {}: it is not read again on SIGHUP unless you allow it: chgrp {} {}", (*user)->name,
             *options.config_file, (*user)->name, *options.config_file);
  return {};
}

}  // namespace drpf::daemon
