#include "system/service_notification.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "system/fd.h"

namespace drpf::system {

void notify_service_manager(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (path == nullptr || (path[0] != '/' && path[0] != '@') || std::strlen(path) >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  const auto length = std::strlen(path);
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';                           // an abstract socket
  static const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));  // kept: once it serves, a gateway opens no more of these
  if (!socket.valid()) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  [[maybe_unused]] const auto sent =
      ::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size);
}

std::optional<Duration> watchdog_interval() {
  const char* text = std::getenv("WATCHDOG_USEC");
  const char* watched = std::getenv("WATCHDOG_PID");
  if (text == nullptr || (watched != nullptr && std::strtol(watched, nullptr, 10) != ::getpid())) return std::nullopt;
  const auto limit = std::chrono::microseconds(std::strtoll(text, nullptr, 10));
  if (limit <= Duration::zero()) return std::nullopt;
  return limit / 3;
}

}  // namespace drpf::system
