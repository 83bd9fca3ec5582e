#include "client/connect/instance_lock.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include <fmt/format.h>

namespace drpf::client {
namespace {

// An abstract unix socket: its name belongs to the network namespace, as the interface does, and ends with its process.
struct Name {
  sockaddr_un address{};
  socklen_t size = 0;
};

Name lock_name(std::string_view interface) {
  Name name;
  const auto text = fmt::format("drpf-connect-{}", interface);
  name.address.sun_family = AF_UNIX;
  std::memcpy(name.address.sun_path + 1, text.data(), text.size());
  name.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return name;
}

std::optional<int> holder(const Name& name) {
  const system::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (!socket.valid() || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name.address), name.size) != 0) return std::nullopt;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return credentials.pid;  // 0: of another process namespace
}

}  // namespace

std::optional<int> lock_holder(std::string_view interface) { return holder(lock_name(interface)); }

Result<system::Fd> lock_interface(std::string_view interface) {
  const auto name = lock_name(interface);
  system::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.valid() && ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name.address), name.size) == 0 &&
      ::listen(socket.get(), 1) == 0) {
    return socket;
  }
  if (errno == EADDRINUSE) {
    const auto process = holder(name).value_or(0);
    return fail(refusal("interface_in_use",
                        fmt::format("the interface {} is in use by another drpf connect{}", interface,
                                    process > 0 ? fmt::format(" (process {})", process) : ""),
                        "Stop that one first, or give this one another name: --interface NAME."));
  }
  return fail(failure("no_lock", fmt::format("locking the interface {}: {}", interface, std::strerror(errno))));
}

}  // namespace drpf::client
