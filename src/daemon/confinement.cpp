#include "daemon/confinement.h"

#include <spdlog/logger.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "net/listen_socket.h"
#include "system/fd.h"
#include "system/file_lock.h"
#include "system/landlock.h"
#include "system/nft_program.h"
#include "system/privileges.h"
#include "system/process.h"
#include "system/seccomp.h"
#include "system/tun.h"

namespace drpf::daemon {
namespace {

using system::Capability;
using system::FileRule;
using system::FileUse;

constexpr std::uint64_t descriptors_beside_api = 1024;

constexpr uid_t nobodys_number = 60720;  // of those that systemd's documentation calls unused

constexpr const char* configuration_folder = "/etc/drpf";
// What the libraries that a program is linked with look at.
constexpr const char* files_of_libraries[] = {
    "/usr",        "/lib",       "/lib64",         "/etc/ld.so.cache", "/etc/ssl/openssl.cnf", "/etc/localtime", "/etc/nsswitch.conf",
    "/etc/passwd", "/etc/group", "/etc/protocols", "/etc/services",    "/etc/hosts",           "/etc/host.conf", "/etc/resolv.conf",
    "/dev/urandom"};

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
    if (entry.path() != own_socket && entry.path() != net::socket_lock_path(own_socket)) return;
  (void)give(folder, user);  // what it is needed for says so itself if it fails
  (void)give(net::socket_lock_path(own_socket), user);
}

std::array<std::string, 2> own_sockets(const configuration::Configuration& configuration, const RunOptions& options) {
  return {std::filesystem::absolute(options.socket_path).string(),
          (std::filesystem::path(control_socket_folder) / (configuration.tunnel_interface + ".sock")).string()};
}

Result<std::optional<system::User>> choose_user(const configuration::Configuration& configuration, const RunOptions& options,
                                                spdlog::logger& log) {
  constexpr auto stays =
      "the gateway stays root, with no rights but to change the network and to take ports below 1024, and to use its own files";
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
  for (const auto& socket : own_sockets(configuration, options))
    give_socket_folder(std::filesystem::path(socket).parent_path(), socket, *user);
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

std::vector<FileRule> files_of_any_program(FileUse use) {
  std::vector<FileRule> rules{{"/proc", FileUse::read}, {"/dev/null", FileUse::write}};
  for (const auto* const path : files_of_libraries) rules.push_back({path, use});
  return rules;
}

std::vector<FileRule> files_of_nft() {
  auto rules = files_of_any_program(FileUse::run);
  rules.push_back({std::filesystem::path(system::find_program("nft")).parent_path().string(), FileUse::run});
  for (const auto* const path : {"/bin", "/sbin", "/etc/iproute2"}) rules.push_back({path, FileUse::run});
  return rules;
}

// A file that is replaced is another one, so its folder is named; but not a folder that holds everything.
std::string readable_for(const std::string& config_file) {
  const auto file = std::filesystem::absolute(config_file);
  const auto folder = file.parent_path();
  return folder == "/" || folder == "/etc" || folder == "/root" ? file.string() : folder.string();
}

std::vector<FileRule> files_of_gateway(const configuration::Configuration& configuration, const RunOptions& options) {
  auto rules = files_of_any_program(FileUse::read);
  rules.insert(rules.end(), {{"/sys", FileUse::read},
                             {"/proc/sys/net", FileUse::write},
                             {"/dev/net", FileUse::write},
                             {configuration_folder, FileUse::read},
                             {options.state_directory, FileUse::keep}});
  for (const auto& socket : own_sockets(configuration, options)) {
    rules.push_back({std::filesystem::path(socket).parent_path().string(), FileUse::sockets});
    rules.push_back({net::socket_lock_path(socket), FileUse::write});
  }
  if (options.config_file) rules.push_back({readable_for(*options.config_file), FileUse::read});
  return rules;
}

// Later there is no right to make them.
void make_own_files(const configuration::Configuration& configuration, const RunOptions& options) {
  std::error_code ignored;  // who needs one says so
  if (std::filesystem::create_directories(options.state_directory, ignored))
    std::filesystem::permissions(options.state_directory, std::filesystem::perms::owner_all, ignored);
  std::filesystem::create_directories(std::filesystem::absolute(options.socket_path).parent_path(), ignored);
  if (std::filesystem::create_directories(control_socket_folder, ignored))
    std::filesystem::permissions(control_socket_folder, std::filesystem::perms::owner_all, ignored);
  for (const auto& socket : own_sockets(configuration, options)) (void)system::open_lock_file(net::socket_lock_path(socket));
}

bool manager_is_abstract() {
  const char* const manager = std::getenv("NOTIFY_SOCKET");
  return manager != nullptr && manager[0] == '@';
}

// The process that runs nft: what it may is what nft needs.
Status confine_nft(const std::optional<system::User>& user) {
  if (auto given_up = system::give_up_privileges({Capability::net_admin}, user); !given_up) return given_up;
  if (auto restricted = system::restrict_files(files_of_nft(), false); !restricted) return fail(restricted.error());
  for (const auto policy : {system::SyscallPolicy::programs, system::SyscallPolicy::no_unix_sockets})
    if (auto restricted = system::restrict_syscalls(policy); !restricted) return restricted;
  return {};
}

// The daemon of OpenVPN and the process that starts it: their own folder, their own device, and no right but to take a low port.
Status confine_openvpn() {
  auto rules = files_of_any_program(FileUse::run);
  rules.push_back({std::filesystem::path(system::find_program("openvpn")).parent_path().string(), FileUse::run});
  rules.push_back({"/dev/net", FileUse::write});
  rules.push_back({".", FileUse::keep});  // which it is in already; the way there need not be open to its user
  if (auto restricted = system::restrict_files(rules, false); !restricted) return fail(restricted.error());
  return system::restrict_syscalls(system::SyscallPolicy::programs);
}

// Not nobody, whose other programs could speak to its management socket.
std::optional<system::User> openvpn_user(spdlog::logger& log) {
  if (::geteuid() != 0) return std::nullopt;
  auto named = system::find_user("drpf-openvpn");
  auto user = named.value_or(system::User{"drpf-openvpn", nobodys_number, nobodys_number});
  if (!system::may_use(user, system::tun_device)) {
    log.info("{} is root's alone: OpenVPN's daemon stays root, without root's rights (chmod 666 {} lets it have a user of its own)",
             system::tun_device, system::tun_device);
    return std::nullopt;
  }
  if (named) return named;
  log.info("there is no user drpf-openvpn: OpenVPN's daemon runs as the number {}, which is nobody's (useradd --system drpf-openvpn)",
           nobodys_number);
  return user;
}

Status put_openvpn_aside(const configuration::Configuration& configuration, const RunOptions& options, spdlog::logger& log,
                         std::unique_ptr<system::OpenVpnProgram>& openvpn) {
  system::OpenVpnProgram::Options wanted;
  wanted.folder = (std::filesystem::absolute(options.socket_path).parent_path() / "openvpn").string();
  wanted.user = openvpn_user(log);
  wanted.prepare = &confine_openvpn;
  wanted.binds_low_port = configuration.openvpn.port.value() < 1024;
  auto aside = system::OpenVpnProgram::put_aside(wanted);
  if (!aside) return fail(aside.error());
  openvpn = std::make_unique<system::OpenVpnProgram>(std::move(*aside));
  return {};
}

}  // namespace

Status confine(const configuration::Configuration& configuration, const RunOptions& options, spdlog::logger& log,
               std::unique_ptr<system::OpenVpnProgram>& openvpn) {
  if (auto means = prove_means(); !means) return means;
  const auto user = choose_user(configuration, options, log);
  if (!user) return fail(user.error());

  const auto descriptors = configuration.limits.api_connections_max + descriptors_beside_api;
  if (const auto allowed = system::allow_descriptors(descriptors); allowed < descriptors)
    log.warn("this process may open {} files, and {} connections to the API may need {}; raise the limit (ulimit -n)", allowed,
             configuration.limits.api_connections_max, descriptors);
  if (auto aside = system::put_nft_aside([&] { return confine_nft(*user); }); !aside) return aside;
  if (configuration.openvpn.enabled)
    if (auto aside = put_openvpn_aside(configuration, options, log, openvpn); !aside) return aside;
  if (!system::hide_memory()) log.info("keys may be written to swap: the limit on locked memory does not allow to keep them out of it");
  if (auto given_up = system::give_up_privileges({Capability::net_admin, Capability::net_bind_service}, *user); !given_up) return given_up;
  make_own_files(configuration, options);
  const auto files = system::restrict_files(files_of_gateway(configuration, options), manager_is_abstract());
  if (!files) return fail(files.error());
  if (!*files && ::geteuid() == 0)
    log.warn(
        "this kernel has no Landlock, so the gateway, which stays root, could use all of root's files if it were taken over: make the user "
        "drpf (useradd --system drpf), or switch Landlock on (lsm= of the kernel's command line)");
  if (auto restricted = system::restrict_syscalls(system::SyscallPolicy::gateway); !restricted) return restricted;

  if (*user && options.config_file && ::access(options.config_file->c_str(), R_OK) != 0)
    log.warn("the user {} cannot read {}: it is not read again on SIGHUP unless you allow it: chgrp {} {}", (*user)->name,
             *options.config_file, (*user)->name, *options.config_file);
  return {};
}

Status confine_further() { return system::restrict_syscalls(system::SyscallPolicy::no_unix_sockets); }

}  // namespace drpf::daemon
