#include "net/listen_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "system/file_lock.h"
#include "system/socket_address.h"

namespace drpf::net {
namespace {

constexpr int backlog = 128;
constexpr unsigned user_timeout_ms = 30'000;  // a peer that acknowledges nothing for this long is gone
constexpr mode_t socket_mode = 0660;

tl::unexpected<Error> listen_failure(const std::string& where, const std::string& step, std::string cure = {}) {
  return fail(failure("listen_failed", "cannot listen on " + where + ": " + step + ": " + std::strerror(errno), std::move(cure)));
}

// Two gateways that start at once must not remove each other's socket: one waits while the other looks and binds. Not by a lock of the
// folder, which everybody could hold who may look into it.
Result<system::Fd> lock_beside(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  if (struct stat found{}; ::stat(folder.empty() ? "." : folder.c_str(), &found) != 0)
    return listen_failure(path, "opening the folder " + folder.string(), "create the folder, or give another --socket PATH");
  auto file = system::open_lock_file(socket_lock_path(path));
  if (!file) return fail(file.error());
  if (const auto taken = system::take_lock(*file, system::WhenLocked::wait); !taken) return fail(taken.error());
  return file;
}

Status remove_stale_socket(const std::string& path, const system::SocketAddress& address) {
  struct stat file{};
  if (::lstat(path.c_str(), &file) != 0) return {};
  if (!S_ISSOCK(file.st_mode))
    return fail(failure("listen_failed", "cannot listen on " + path + ": the file exists and is no socket",
                        "move the file away, or give another --socket PATH"));
  const system::Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return listen_failure(path, "opening a socket");
  if (::connect(probe.get(), address.get(), address.size) == 0 || errno == EAGAIN)
    return fail(failure("already_running", "another gateway is already answering on " + path,
                        "stop it first, or give this one another --socket PATH and --state DIR"));
  if (errno != ECONNREFUSED) return listen_failure(path, "asking whether somebody still listens there");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return listen_failure(path, "removing the socket that a former gateway left");
  return {};
}

}  // namespace

std::string socket_lock_path(const std::string& path) { return path + ".lock"; }

Result<system::Fd> listen_on_unix_socket(const std::string& path) {
  const auto address = system::to_socket_address(path);
  if (!address) return fail(address.error());
  const auto lock = lock_beside(path);
  if (!lock) return fail(lock.error());
  if (const auto removed = remove_stale_socket(path, *address); !removed) return fail(removed.error());
  system::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return listen_failure(path, "opening a socket");
  if (::bind(fd.get(), address->get(), address->size) != 0)
    return listen_failure(path, "binding", "run it as root, or give a --socket PATH in a folder that you may write to");
  // Between bind and listen every connect is refused, so nobody slips in before the mode is set.
  if (::chmod(path.c_str(), socket_mode) != 0) return listen_failure(path, "setting the mode 0660");
  if (::listen(fd.get(), backlog) != 0) return listen_failure(path, "listening");
  return fd;
}

Result<system::Fd> listen_on_tcp(const Endpoint& endpoint, const std::optional<std::string>& device) {
  const auto where = to_string(endpoint);
  const auto address = system::to_socket_address(endpoint);
  system::Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return listen_failure(where, "opening a socket");
  bool good = system::set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) && system::set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1) &&
              system::set_option(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(user_timeout_ms));
  if (endpoint.address.is_v6())
    good =
        good && system::set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1) && system::set_option(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, 1);
  else
    good = good && system::set_option(fd.get(), IPPROTO_IP, IP_FREEBIND, 1);
  if (!good) return listen_failure(where, "setting socket options");
  if (device && ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, device->c_str(), static_cast<socklen_t>(device->size())) != 0)
    return listen_failure(where, "binding to the interface " + *device, "check that the interface exists");
  if (::bind(fd.get(), address.get(), address.size) != 0)
    return listen_failure(where, "binding", errno == EADDRINUSE ? "another program has this port: stop it, or set another port" : "");
  if (::listen(fd.get(), backlog) != 0) return listen_failure(where, "listening");
  return fd;
}

}  // namespace drpf::net
