#include "tunnel/wireguard/packet_io.h"

#include <poll.h>
#include <unistd.h>

#include "system/udp_socket.h"

namespace drpf::tunnel::wireguard {

ssize_t PacketIo::read_tun(int fd, MutableByteView into) { return ::read(fd, into.data(), into.size()); }

ssize_t PacketIo::write_tun(int fd, std::span<const iovec> parts) { return ::writev(fd, parts.data(), static_cast<int>(parts.size())); }

ssize_t PacketIo::send(int fd, const msghdr& message) { return ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); }

int PacketIo::send_many(int fd, std::span<mmsghdr> messages) {
  return ::sendmmsg(fd, messages.data(), static_cast<unsigned>(messages.size()), MSG_DONTWAIT | MSG_NOSIGNAL);
}

int PacketIo::receive_many(int fd, std::span<mmsghdr> messages) {
  return ::recvmmsg(fd, messages.data(), static_cast<unsigned>(messages.size()), MSG_DONTWAIT, nullptr);
}

void PacketIo::wait_writable(int fd, int timeout_ms) {
  pollfd waiting{fd, POLLOUT, 0};
  ::poll(&waiting, 1, timeout_ms);
}

std::optional<std::uint32_t> PacketIo::path_mtu(int fd, Family family, const msghdr& message) {
  return system::path_mtu_after_too_long(fd, family, message);
}

ssize_t PacketIo::send_fragmented(int fd, Family family, const msghdr& message) { return system::send_fragmented(fd, family, message); }

}  // namespace drpf::tunnel::wireguard
