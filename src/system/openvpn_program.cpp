#include "system/openvpn_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "system/netlink_socket.h"
#include "system/process.h"

namespace drpf::system {
namespace {

constexpr Duration version_time_max = std::chrono::seconds(10);
constexpr Duration farewell_max = std::chrono::seconds(3);  // it tells its clients that it goes
constexpr std::uint32_t configuration_max = Process::input_max;
constexpr std::size_t words_max = 400;
constexpr const char* log_name = "last_words";
constexpr const char* program_name = "openvpn";

bool send_all(int socket, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const auto sent = ::send(socket, at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool receive_all(int socket, void* data, std::size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const auto received = ::recv(socket, at, size, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    at += received;
    size -= static_cast<std::size_t>(received);
  }
  return true;
}

std::string last_words(int exit_code) {
  std::ifstream file(log_name);
  std::string line;
  std::string last;
  while (std::getline(file, line))
    if (!line.empty() && line.find("Exiting due to fatal error") == std::string::npos) last = line;
  std::string out;
  for (const char c : last.substr(0, words_max)) out += c >= ' ' && c <= '~' ? c : '?';
  return out.empty() ? fmt::format("it ended with exit code {}", exit_code) : out;
}

Result<Process> start_daemon(const std::string& configuration, bool binds_low_port) {
  (void)::unlink(log_name);
  Command command;
  command.arguments = {program_name, "--config", "stdin"};
  command.input = configuration;
  command.log_path = log_name;
  command.prepare = [binds_low_port]() -> Status {
    // Not killed with its parent: it ends by itself when its management connection is gone, and tells its clients first, which come back
    // at once then and not when they miss it. A signal beside that would cut its farewell short.
    ::prctl(PR_SET_PDEATHSIG, 0);
    if (binds_low_port) return lend_to_program({Capability::net_bind_service});
    return {};
  };
  return Process::start(command);
}

void end_daemon(std::optional<Process>& daemon) {
  if (!daemon) return;
  // Its management connection is closed already where it had one.
  if (!daemon->wait(farewell_max)) daemon->signal(SIGTERM);
  (void)daemon->wait(farewell_max);
  daemon.reset();
}

// The child: one daemon at a time, until the gateway is gone.
void serve(int socket, bool binds_low_port) {
  std::optional<Process> daemon;
  Fd ended;
  for (;;) {
    std::array<pollfd, 2> waiting{pollfd{socket, POLLIN, 0}, pollfd{ended.valid() ? ended.get() : -1, POLLIN, 0}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0) {
      if (errno == EINTR) continue;
      break;
    }
    if (waiting[1].revents != 0) {
      const auto words = last_words(daemon->wait(farewell_max).value_or(-1)) + "\n";
      ended = Fd();
      daemon.reset();
      if (!send_all(socket, words.data(), words.size())) break;
    }
    if (waiting[0].revents == 0) continue;
    std::uint32_t size = 0;
    if (!receive_all(socket, &size, sizeof size) || size > configuration_max) break;
    std::string configuration(size, '\0');
    if (!receive_all(socket, configuration.data(), size)) break;
    ended = Fd();
    end_daemon(daemon);
    auto started = start_daemon(configuration, binds_low_port);
    std::fill(configuration.begin(), configuration.end(), '\0');  // keys
    if (!started) {
      const auto words = started.error().message + "\n";
      if (!send_all(socket, words.data(), words.size())) break;
      continue;
    }
    daemon = std::move(*started);
    ended = Fd(static_cast<int>(::syscall(SYS_pidfd_open, daemon->pid(), 0)));
  }
  end_daemon(daemon);
}

// By a name in its folder, so that nobody needs a way through the folders above, and no path is too long for an address.
Result<Fd> listen_here(const std::optional<User>& user) {
  (void)::unlink(OpenVpnProgram::management_name);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, OpenVpnProgram::management_name, sizeof address.sun_path - 1);
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto mask = ::umask(0177);
  const bool bound = socket.valid() && ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::umask(mask);
  if (!bound || ::listen(socket.get(), 1) != 0) return fail(errno_failure(errno, "listen for OpenVPN's management connection"));
  if (user && ::chown(OpenVpnProgram::management_name, user->uid, user->gid) != 0)
    return fail(errno_failure(errno, "give OpenVPN's management socket to " + user->name));
  return socket;
}

Result<std::string> version_here() {
  if (find_program(program_name).empty())
    return fail(unavailable("openvpn_missing", "[openvpn] enabled: the program openvpn is not installed", "apt install openvpn"));
  Command command;
  command.arguments = {program_name, "--version"};
  const auto printed = run(command, version_time_max);
  if (!printed) return fail(printed.error());
  const auto version = openvpn_version(printed->out);
  if (!version || !is_openvpn_new_enough(*version))
    return fail(unavailable(
        "openvpn_too_old",
        fmt::format("[openvpn] enabled: the program openvpn is version {}, and 2.6 or newer is needed", version.value_or("unknown")),
        "apt install openvpn, from Debian 12 or newer"));
  return *version;
}

}  // namespace

std::optional<std::string> openvpn_version(std::string_view printed) {
  constexpr std::string_view name = "OpenVPN ";
  if (!printed.starts_with(name)) return std::nullopt;
  const auto rest = printed.substr(name.size());
  const auto version = rest.substr(0, rest.find_first_of(" \n"));
  if (version.empty() || version.front() < '0' || version.front() > '9') return std::nullopt;
  return std::string(version);
}

bool is_openvpn_new_enough(std::string_view version) {
  unsigned major = 0;
  unsigned minor = 0;
  const auto* const end = version.data() + version.size();
  const auto [dot, wrong] = std::from_chars(version.data(), end, major);
  if (wrong != std::errc{} || dot == end || *dot != '.') return false;
  if (std::from_chars(dot + 1, end, minor).ec != std::errc{}) return false;
  return major > 2 || (major == 2 && minor >= 6);
}

Result<OpenVpnProgram> OpenVpnProgram::put_aside(const Options& options) {
  auto version = version_here();
  if (!version) return fail(version.error());
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  const Fd before(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (::chdir(options.folder.c_str()) != 0) return fail(errno_failure(errno, "use the folder " + options.folder));
  const auto in_folder = [&]() -> Result<OpenVpnProgram> {
    if (::chmod(".", S_IRWXU) != 0) return fail(errno_failure(errno, "keep others out of the folder " + options.folder));
    if (options.user && ::chown(".", options.user->uid, options.user->gid) != 0)
      return fail(errno_failure(errno, "give the folder " + options.folder + " to " + options.user->name));
    auto listening = listen_here(options.user);
    if (!listening) return fail(listening.error());
    const bool low = options.binds_low_port;
    auto child = SupervisedChild::start(
        [&]() -> Status {
          CapabilitySet kept;
          if (low) kept.add(Capability::net_bind_service);
          if (auto given_up = give_up_privileges(kept, options.user); !given_up) return given_up;
          return options.prepare ? options.prepare() : Status{};
        },
        [low](int socket) { serve(socket, low); });
    if (!child) return fail(child.error());
    return OpenVpnProgram(std::move(*child), std::move(*listening), options.user, std::move(*version));
  };
  auto made = in_folder();
  if (::fchdir(before.get()) != 0 && made) return fail(errno_failure(errno, "go back to the folder that this was started in"));
  return made;
}

bool OpenVpnProgram::is_daemon(int connection) const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == user();
}

bool OpenVpnProgram::start(const std::string& configuration) {
  if (!child_.connected() && !child_.take_up({})) return false;
  const auto size = static_cast<std::uint32_t>(configuration.size());
  if (send_all(child_.socket(), &size, sizeof size) && send_all(child_.socket(), configuration.data(), configuration.size())) return true;
  child_.hang_up();
  return false;
}

std::optional<std::string> OpenVpnProgram::take_words() {
  if (!child_.connected()) return std::nullopt;
  std::array<char, words_max + 1> buffer;
  const auto received = ::recv(child_.socket(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  if (received <= 0) {
    child_.hang_up();
    return "the process that runs it has ended";
  }
  std::string words(buffer.data(), static_cast<std::size_t>(received));
  words.resize(std::min(words.find('\n'), words.size()));
  return words;
}

}  // namespace drpf::system
