// The system calls of the packet path, one virtual call per batch, so that tests can make each of them fail. Errors by errno.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>
#include <optional>
#include <span>

#include "core/address.h"
#include "core/bytes.h"

namespace drpf::tunnel::wireguard {

class PacketIo {
 public:
  virtual ~PacketIo() = default;
  virtual ssize_t read_tun(int fd, MutableByteView into);
  virtual ssize_t write_tun(int fd, std::span<const iovec> parts);
  virtual ssize_t send(int fd, const msghdr& message);
  virtual int send_many(int fd, std::span<mmsghdr> messages);
  virtual int receive_many(int fd, std::span<mmsghdr> messages);
  // Waits until the socket takes datagrams again, or for timeout_ms.
  virtual void wait_writable(int fd, int timeout_ms);
  // For a message that was too long for the path (EMSGSIZE): how long one may be; none if the kernel will not tell.
  virtual std::optional<std::uint32_t> path_mtu(int fd, Family family, const msghdr& message);
  // The same message in as many fragments as the path wants.
  virtual ssize_t send_fragmented(int fd, Family family, const msghdr& message);
};

}  // namespace drpf::tunnel::wireguard
