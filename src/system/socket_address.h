// Endpoint and file path to and from the kernel's sockaddr. Opens nothing.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

#include "core/address.h"
#include "core/result.h"

namespace drpf::system {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

SocketAddress to_socket_address(const Endpoint& endpoint, std::uint32_t scope = 0);  // the scope counts for link-local addresses
Result<SocketAddress> to_socket_address(const std::string& unix_path);

// None for anything but AF_INET and AF_INET6, or one that is cut off.
std::optional<Endpoint> from_socket_address(const sockaddr* address, std::size_t size);
inline std::optional<Endpoint> from_socket_address(const sockaddr_storage& storage) {
  return from_socket_address(reinterpret_cast<const sockaddr*>(&storage), sizeof storage);
}

// One number as an option; false leaves the reason in errno.
inline bool set_option(int fd, int level, int option, int value) { return ::setsockopt(fd, level, option, &value, sizeof value) == 0; }

}  // namespace drpf::system
