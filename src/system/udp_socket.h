// UDP sockets as the packet path needs them: both families on one port, large buffers, segmentation offload (GSO/GRO), the local address
// of every datagram; and the control messages that go with them. Knows nothing of what the datagrams carry.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>

#include "core/address.h"
#include "core/result.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::system {

// Where a datagram was received, and where the answer should leave from ("sticky source"). Unspecified address: let the kernel choose.
struct LocalSource {
  std::optional<Address> address;
  std::uint32_t interface_index = 0;
  bool operator==(const LocalSource&) const = default;
};

struct UdpOptions {
  Port port;                  // 0: any, the same for both families
  std::uint32_t fwmark = 0;   // 0 = none
  bool offload = true;        // try UDP_SEGMENT and UDP_GRO
  int buffer_size = 7 << 20;  // bytes, each direction
};

struct UdpSocket {
  Fd fd;
  bool gso = false;
  bool gro = false;
};

class UdpSockets {
 public:
  // IPv6 is left out where the machine has none; having neither family is an error.
  static Result<UdpSockets> open(const UdpOptions& options);

  const UdpSocket& of(Family family) const { return family == Family::v4 ? v4_ : v6_; }
  Port port() const { return port_; }
  std::uint32_t fwmark() const { return fwmark_; }
  Status set_fwmark(std::uint32_t mark);

 private:
  UdpSocket v4_;
  UdpSocket v6_;
  Port port_;
  std::uint32_t fwmark_ = 0;
};

// The control messages of one outgoing message: local source and segment size.
class SendControl {
 public:
  // segment_size 0: no segmentation. The result points into this object.
  void attach(msghdr& message, Family family, const LocalSource& source, std::uint16_t segment_size);

 private:
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(std::uint16_t))> buffer_{};
};

struct ReceiveControl {
  static constexpr std::size_t size = CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(64);
  LocalSource source;
  std::size_t segment_size = 0;  // 0: one datagram
  static ReceiveControl read(const msghdr& message);
};

// Path MTU towards the destination of the last message that was too long for it, sent again to learn it; none if the kernel will not tell.
std::optional<std::uint32_t> path_mtu_after_too_long(int fd, Family family, const msghdr& message);

// Sends a message that is too long for the path, in fragments; errors by errno. An IPv4 datagram leaves as large as the interface takes it,
// for routers to cut: what strangers said about the path does not count. IPv6 is cut here, by what the kernel knows, and never below 1280
// bytes.
ssize_t send_fragmented(int fd, Family family, const msghdr& message);

}  // namespace drpf::system
