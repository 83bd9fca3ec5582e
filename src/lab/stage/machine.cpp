#include "lab/stage/machine.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "lab/stage/limits.h"
#include "lab/stage/stage.h"

namespace drpf::lab {
namespace {

// A file of the host's that says what is not so in here. Where the host has none, or one that leads nowhere, nothing is to be replaced.
Status replace_file(const char* path, const std::string& own, const std::string& content) {
  const system::Fd file(::open(own.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid() || ::write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()))
    return fail(failure("write", fmt::format("cannot write {}: {}", own, std::strerror(errno))));
  if (::access(path, F_OK) != 0) return {};
  return system::mount_bind(file, path);
}

// There is no name server in here, and programs that ask for one (Dovecot, for this host's own name) would wait for it.
Status furnish_names() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return fail(failure("gethostname", "this machine has no name"));
  if (const Status put = replace_file("/etc/hosts", "/run/hosts", fmt::format("127.0.0.1 localhost {0}\n::1 localhost {0}\n", name)); !put)
    return put;
  return replace_file("/etc/resolv.conf", "/run/resolv.conf", "nameserver 127.0.0.1\n");
}

// Inside the new namespaces of a machine: /run is its own, so that two machines can have the same socket names.
Status furnish_machine() {
  if (const Status separate = system::make_mounts_private(); !separate) return separate;
  const system::Fd shared(::open(stage_folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (const Status mounted = system::mount_tmpfs("/run", "mode=755,size=16m"); !mounted) return mounted;
  if (::mkdir(stage_folder, 0755) != 0)
    return fail(failure("mkdir", fmt::format("cannot make {}: {}", stage_folder, std::strerror(errno))));
  if (const Status shown = system::mount_bind(shared, stage_folder); !shown) return shown;
  if (const Status named = furnish_names(); !named) return named;
  // What /sys/class/net shows belongs to one network; containers may forbid a fresh one, and little looks there.
  ::mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, nullptr);
  return {};
}

Status become_nobody(bool user_namespace) {
  if (user_namespace) {
    // Only one user exists here; a namespace further in calls it nobody, and programs that insist on not being root are content.
    if (const Status made = system::unshare(CLONE_NEWUSER); !made) return made;
    return system::map_own_ids(0, 0, nobody, nobody);
  }
  if (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0) {
    return fail(failure("nobody", fmt::format("cannot become the user nobody: {}", std::strerror(errno))));
  }
  return {};
}

std::string fd_path(const system::Fd& fd) { return fmt::format("/proc/self/fd/{}", fd.get()); }

}  // namespace

// One end of a cable on this machine, the other on `peer`.
std::string cable(const std::string& device, const Machine& peer, const std::string& peer_device) {
  return fmt::format("link add {} type veth peer name {} netns {}\n", device, peer_device, fd_path(peer.namespaces().net));
}

Status configure(const Machine& machine, const std::string& lines, const std::vector<const Machine*>& peers) {
  system::Command command = machine.command({"ip", "-batch", "-"});
  command.input = lines;
  for (const Machine* peer : peers) command.kept_fds.push_back(peer->namespaces().net.get());
  const Result<system::Output> output = system::run(command, limits::command);
  if (!output) return fail(output.error());
  if (output->exit_code != 0) return fail(failure("ip", fmt::format("ip on {} said: {}", machine.name(), output->err)));
  return {};
}

// sysctls belong to the network of whoever writes them, so a child writes them there.
Status set_sysctls(const Machine& machine, const std::vector<std::string>& settings) {
  std::string script;
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    script += fmt::format("echo {} > /proc/sys/{}\n", setting.substr(equals + 1), setting.substr(0, equals));
  }
  const Result<std::string> written = machine.run({"sh", "-e"}, script);
  return written ? Status() : fail(written.error());
}

Result<Machine> Machine::make(std::string name) {
  Result<system::NamespacePair> namespaces = system::make_namespaces(furnish_machine);
  if (!namespaces) return fail(namespaces.error());
  return Machine(std::move(name), std::move(*namespaces));
}

Result<Machine> Machine::present(std::string name) {
  Result<system::NamespacePair> namespaces = system::current_namespaces();
  if (!namespaces) return fail(namespaces.error());
  return Machine(std::move(name), std::move(*namespaces));
}

system::Command Machine::command(std::vector<std::string> arguments) const {
  system::Command command;
  command.arguments = std::move(arguments);
  // Servers look for themselves and for their parts by it (Dovecot does), and an ordinary user's has no sbin.
  const char* path = std::getenv("PATH");
  command.environment.emplace_back("PATH", std::string(path != nullptr ? path : "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin");
  command.prepare = [this] { return system::enter(namespaces_); };
  return command;
}

system::Command Machine::server(std::vector<std::string> arguments, bool user_namespace) const {
  system::Command server = command(std::move(arguments));
  server.prepare = [this, user_namespace] {
    const Status entered = system::enter(namespaces_);
    return entered ? become_nobody(user_namespace) : entered;
  };
  return server;
}

Result<std::string> Machine::run(std::vector<std::string> arguments, std::string input) const {
  system::Command called = command(std::move(arguments));
  called.input = std::move(input);
  Result<system::Output> output = system::run(called, limits::command);
  if (!output) return fail(output.error());
  if (output->exit_code != 0) {
    return fail(failure(
        "program", fmt::format("{} on {} ended with {}: {}{}", called.arguments[0], name_, output->exit_code, output->err, output->out)));
  }
  return std::move(output->out);
}

Result<system::Fd> Machine::open_socket(int family, int type, int protocol) const {
  const Result<system::NamespacePair> here = system::current_namespaces();
  if (!here) return fail(here.error());
  if (const Status entered = system::enter_network(namespaces_); !entered) return fail(entered.error());
  system::Fd socket(::socket(family, type | SOCK_CLOEXEC, protocol));
  const int error_number = errno;
  if (const Status back = system::enter_network(*here); !back) return fail(back.error());
  if (!socket.valid()) return fail(failure("socket", fmt::format("cannot open a socket on {}: {}", name_, std::strerror(error_number))));
  return socket;
}

}  // namespace drpf::lab
