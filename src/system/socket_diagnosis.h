// The sockets of this network namespace that wait for strangers, asked of the kernel by sock_diag(7): cheaper than reading /proc/net where
// there are many connections, and with the inode that tells whose they are.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "system/netlink_socket.h"

namespace drpf::system {

struct ListeningSocket {
  Protocol protocol{};
  Endpoint local;  // address unspecified = every address of the host
  auto operator<=>(const ListeningSocket&) const = default;
};

struct OwnedSocket {
  ListeningSocket listening;
  std::uint32_t interface = 0;  // bound to the interface of this number alone; it may be gone, and then nobody reaches the socket
  std::uint64_t inode = 0;      // as /proc/PID/fd/N shows it: socket:[inode]
  auto operator<=>(const OwnedSocket&) const = default;
};

// One reply of the dump; nothing where it is malformed or has no port.
std::optional<OwnedSocket> read_diagnosis(ByteView payload, Protocol protocol);

class SocketDiagnosis {
 public:
  static Result<SocketDiagnosis> open();
  // TCP listeners and unconnected UDP sockets, sorted. Needs no rights.
  Result<std::vector<OwnedSocket>> listening();

 private:
  explicit SocketDiagnosis(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace drpf::system
