#include "net/socket_address.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace drpf::net {

SocketAddress socket_address(const Endpoint& endpoint) {
  SocketAddress out;
  const auto bytes = endpoint.address.bytes();
  if (endpoint.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port.value());
    std::memcpy(&v4.sin_addr, bytes.data(), bytes.size());
    std::memcpy(&out.storage, &v4, sizeof v4);
    out.size = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port.value());
    std::memcpy(&v6.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&out.storage, &v6, sizeof v6);
    out.size = sizeof v6;
  }
  return out;
}

Result<SocketAddress> socket_address(const std::string& unix_path) {
  sockaddr_un address{};
  if (unix_path.empty() || unix_path.size() >= sizeof address.sun_path || unix_path.find('\0') != std::string::npos)
    return fail(invalid("socket_path_invalid", "the socket path '" + unix_path + "' is empty or too long",
                        "give a path of at most " + std::to_string(sizeof address.sun_path - 1) + " bytes"));
  address.sun_family = AF_UNIX;
  std::copy(unix_path.begin(), unix_path.end(), address.sun_path);
  SocketAddress out;
  std::memcpy(&out.storage, &address, sizeof address);
  out.size = sizeof address;
  return out;
}

std::optional<Endpoint> endpoint_of(const sockaddr* address, socklen_t size) {
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

}  // namespace drpf::net
