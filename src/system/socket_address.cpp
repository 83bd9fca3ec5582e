#include "system/socket_address.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

namespace drpf::system {
namespace {

template <class T>
SocketAddress stored(const T& address) {
  SocketAddress out;
  std::memcpy(&out.storage, &address, sizeof address);
  out.size = sizeof address;
  return out;
}

}  // namespace

SocketAddress to_socket_address(const Endpoint& endpoint, std::uint32_t scope) {
  const auto bytes = endpoint.address.bytes();
  if (endpoint.address.is_v4()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port.value());
    std::memcpy(&address.sin_addr, bytes.data(), bytes.size());
    return stored(address);
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(endpoint.port.value());
  std::memcpy(&address.sin6_addr, bytes.data(), bytes.size());
  if (endpoint.address.is_link_local()) address.sin6_scope_id = scope;
  return stored(address);
}

Result<SocketAddress> to_socket_address(const std::string& unix_path) {
  sockaddr_un address{};
  if (unix_path.empty() || unix_path.size() >= sizeof address.sun_path || unix_path.find('\0') != std::string::npos)
    return fail(invalid("socket_path_invalid", "the socket path '" + unix_path + "' is empty or too long",
                        "give a path of at most " + std::to_string(sizeof address.sun_path - 1) + " bytes"));
  address.sun_family = AF_UNIX;
  std::copy(unix_path.begin(), unix_path.end(), address.sun_path);
  return stored(address);
}

std::optional<Endpoint> from_socket_address(const sockaddr* address, std::size_t size) {
  if (size >= sizeof(sockaddr_in) && address->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof v4);
    return Endpoint{Address::v4(ntohl(v4.sin_addr.s_addr)), Port{ntohs(v4.sin_port)}};
  }
  if (size >= sizeof(sockaddr_in6) && address->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address, sizeof v6);
    return Endpoint{Address::from_bytes(v6.sin6_addr.s6_addr), Port{ntohs(v6.sin6_port)}};
  }
  return std::nullopt;
}

}  // namespace drpf::system
