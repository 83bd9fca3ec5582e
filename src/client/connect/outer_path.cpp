#include "client/connect/outer_path.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

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

struct NetworkChanges::Inner {
  net::EventLoop* loop = nullptr;
  system::Fd socket;
  std::function<void()> changed;
  net::Watch readable;
  net::Timer settled;

  void drain() {
    std::array<std::uint8_t, 8192> buffer{};
    ssize_t size = 0;
    bool any = false;
    // What it says does not matter, and an overrun (ENOBUFS) says the same: something changed.
    while ((size = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0 ||
           (size < 0 && (errno == ENOBUFS || errno == EINTR)))
      any = true;
    if (any && !settled.active()) {
      settled = loop->after(settle_time, [this] {
        settled.cancel();
        changed();
      });
    }
  }
};

void NetworkChanges::Deleter::operator()(Inner* inner) const { delete inner; }

Result<NetworkChanges> NetworkChanges::watch(net::EventLoop& loop, std::function<void()> changed) {
  system::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (!socket.valid() || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail(failure("no_route_events", fmt::format("listening for network changes: {}", std::strerror(errno))));
  }
  NetworkChanges changes;
  changes.inner_.reset(new Inner{&loop, std::move(socket), std::move(changed), {}, {}});
  auto* inner = changes.inner_.get();
  inner->readable = loop.watch_readable(inner->socket.get(), [inner] { inner->drain(); });
  return changes;
}

bool SuspendDetector::observe(Duration boot, Duration monotonic) {
  const auto ahead = boot - monotonic;
  const bool slept = ahead_ && ahead - *ahead_ >= asleep_min;
  ahead_ = ahead;
  return slept;
}

}  // namespace drpf::client
