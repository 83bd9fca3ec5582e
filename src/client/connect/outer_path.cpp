#include "client/connect/outer_path.h"

#include <sys/socket.h>

#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::client {

std::optional<Address> source_towards(const Endpoint& endpoint, std::uint32_t mark) {
  const auto target = system::to_socket_address(endpoint);
  const system::Fd socket(::socket(target.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return std::nullopt;
  if (mark != 0 && ::setsockopt(socket.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) return std::nullopt;
  if (::connect(socket.get(), target.get(), target.size) != 0) return std::nullopt;  // a route lookup; UDP sends nothing here
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) return std::nullopt;
  const auto source = system::from_socket_address(reinterpret_cast<const sockaddr*>(&own), size);
  return source ? std::optional(source->address) : std::nullopt;
}

bool SuspendDetector::observe(Duration boot, Duration monotonic) {
  const auto ahead = boot - monotonic;
  const bool slept = ahead_ && ahead - *ahead_ >= asleep_min;
  ahead_ = ahead;
  return slept;
}

}  // namespace drpf::client
