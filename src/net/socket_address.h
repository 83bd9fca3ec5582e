// Endpoint and file path to and from the kernel's sockaddr. Opens nothing.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <optional>
#include <string>

#include "core/address.h"
#include "core/result.h"

namespace drpf::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

SocketAddress socket_address(const Endpoint& endpoint);
Result<SocketAddress> socket_address(const std::string& unix_path);
// None for anything but AF_INET and AF_INET6.
std::optional<Endpoint> endpoint_of(const sockaddr* address, socklen_t size);

}  // namespace drpf::net
