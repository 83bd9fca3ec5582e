#include "system/udp_socket.h"
#include "system/socket_address.h"

#include <linux/errqueue.h>
#include <netinet/udp.h>

#include <cerrno>
#include <cstring>

namespace drpf::system {
namespace {

constexpr int option_udp_segment = 103;
constexpr int option_udp_gro = 104;
constexpr int port_attempts_max = 16;  // port 0: the number that IPv4 was given may be taken in IPv6

bool report_too_long(int fd, Family family) {
  return family == Family::v4 ? set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
                              : set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
}

bool fragment_too_long(int fd, Family family) {
  return family == Family::v4 ? set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT)
                              : set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_WANT);
}

void set_buffers(int fd, int size) {
  set_option(fd, SOL_SOCKET, SO_RCVBUF, size);
  set_option(fd, SOL_SOCKET, SO_SNDBUF, size);
  set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, size);  // needs CAP_NET_ADMIN; without it the system's limit stands
  set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, size);
}

Result<UdpSocket> open_one(Family family, const UdpOptions& options, Port port) {
  const bool v4 = family == Family::v4;
  const auto failed = [&](const char* what) {
    return fail(
        failure("udp_socket_failed",
                std::string(what) + " UDP port " + to_string(port) + (v4 ? " on IPv4" : " on IPv6") + " failed: " + std::strerror(errno),
                errno == EADDRINUSE ? "another program holds this port; stop it or choose another" : ""));
  };
  UdpSocket socket;
  socket.fd = Fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int fd = socket.fd.get();
  if (!socket.fd.valid()) return failed("opening a socket for");
  if (!v4 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) return failed("setting IPV6_V6ONLY on");
  if (options.fwmark != 0 && !set_option(fd, SOL_SOCKET, SO_MARK, static_cast<int>(options.fwmark))) return failed("setting the mark of");
  set_buffers(fd, options.buffer_size);
  if (v4)
    set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
  else
    set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  report_too_long(fd, family);
  const auto address = to_socket_address({v4 ? Address() : Address::from_bytes(std::array<std::uint8_t, 16>{}), port});
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) return failed("binding");
  if (options.offload) {
    int value = 0;
    socklen_t size = sizeof value;
    socket.gso = ::getsockopt(fd, IPPROTO_UDP, option_udp_segment, &value, &size) == 0;
    socket.gro = set_option(fd, IPPROTO_UDP, option_udp_gro, 1);
  }
  return socket;
}

Port bound_port(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  const auto endpoint = from_socket_address(storage);
  return endpoint ? endpoint->port : Port{};
}

bool family_unavailable(int error) { return error == EAFNOSUPPORT || error == EADDRNOTAVAIL || error == EPROTONOSUPPORT; }

template <class T>
void append_control(msghdr& message, std::size_t capacity, int level, int type, const T& value) {
  auto* const header = reinterpret_cast<cmsghdr*>(static_cast<std::uint8_t*>(message.msg_control) + message.msg_controllen);
  if (message.msg_controllen + CMSG_SPACE(sizeof(T)) > capacity) return;
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof(T));
  std::memcpy(CMSG_DATA(header), &value, sizeof(T));
  message.msg_controllen += CMSG_SPACE(sizeof(T));
}

}  // namespace

Result<UdpSockets> UdpSockets::open(const UdpOptions& options) {
  Result<UdpSocket> last = fail(failure("udp_socket_failed", "no UDP socket could be opened"));
  for (int attempt = 0; attempt < port_attempts_max; ++attempt) {
    UdpSockets sockets;
    sockets.fwmark_ = options.fwmark;
    sockets.port_ = options.port;
    auto v4 = open_one(Family::v4, options, options.port);
    if (!v4 && !family_unavailable(errno)) return fail(v4.error());
    if (v4) {
      sockets.v4_ = std::move(*v4);
      sockets.port_ = bound_port(sockets.v4_.fd.get());
    }
    last = open_one(Family::v6, options, sockets.port_);
    if (last) {
      sockets.v6_ = std::move(*last);
      sockets.port_ = bound_port(sockets.v6_.fd.get());
      return sockets;
    }
    if (family_unavailable(errno) && sockets.v4_.fd.valid()) return sockets;
    if (!options.port.is_zero()) break;
  }
  return fail(last.error());
}

Status UdpSockets::set_fwmark(std::uint32_t mark) {
  for (const auto* socket : {&v4_, &v6_})
    if (socket->fd.valid() && !set_option(socket->fd.get(), SOL_SOCKET, SO_MARK, static_cast<int>(mark)))
      return fail(
          failure("fwmark_failed", "setting the mark " + std::to_string(mark) + " on the UDP socket failed: " + std::strerror(errno)));
  fwmark_ = mark;
  return {};
}

void SendControl::attach(msghdr& message, Family family, const LocalSource& source, std::uint16_t segment_size) {
  message.msg_control = buffer_.data();
  message.msg_controllen = 0;
  if (source.address && source.address->family() == family) {
    if (family == Family::v4) {
      in_pktinfo info{};
      std::memcpy(&info.ipi_spec_dst, source.address->bytes().data(), 4);
      append_control(message, buffer_.size(), IPPROTO_IP, IP_PKTINFO, info);
    } else {
      in6_pktinfo info{};
      std::memcpy(&info.ipi6_addr, source.address->bytes().data(), 16);
      if (source.address->is_link_local()) info.ipi6_ifindex = source.interface_index;
      append_control(message, buffer_.size(), IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
  }
  if (segment_size != 0) append_control(message, buffer_.size(), IPPROTO_UDP, option_udp_segment, segment_size);
  if (message.msg_controllen == 0) message.msg_control = nullptr;
}

ReceiveControl ReceiveControl::read(const msghdr& message) {
  ReceiveControl out;
  for (const auto* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(header))) {
    const auto* const data = CMSG_DATA(header);
    if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == option_udp_gro) {
      int segment = 0;
      std::memcpy(&segment, data, sizeof segment);
      if (segment > 0) out.segment_size = static_cast<std::size_t>(segment);
    } else if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, data, sizeof info);
      out.source.address = Address::from_bytes({reinterpret_cast<const std::uint8_t*>(&info.ipi_spec_dst), 4});
      out.source.interface_index = static_cast<std::uint32_t>(info.ipi_ifindex);
    } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, data, sizeof info);
      out.source.address = Address::from_bytes({reinterpret_cast<const std::uint8_t*>(&info.ipi6_addr), 16});
      out.source.interface_index = info.ipi6_ifindex;
    }
  }
  return out;
}

// The kernel tells the path MTU only on a connected socket or through the error queue. The queue is switched on for this one send, because
// while it is on every ICMP error would also come back from ordinary calls.
std::optional<std::uint32_t> path_mtu_after_too_long(int fd, Family family, const msghdr& message) {
  const int level = family == Family::v4 ? IPPROTO_IP : IPPROTO_IPV6;
  const int option = family == Family::v4 ? IP_RECVERR : IPV6_RECVERR;
  if (!set_option(fd, level, option, 1)) return {};
  std::optional<std::uint32_t> mtu;
  if (::sendmsg(fd, &message, MSG_DONTWAIT) < 0 && errno == EMSGSIZE) {
    alignas(cmsghdr) std::array<std::uint8_t, 512> control{};
    std::uint8_t byte = 0;
    iovec part{&byte, 1};
    msghdr answer{};
    answer.msg_iov = &part;
    answer.msg_iovlen = 1;
    answer.msg_control = control.data();
    answer.msg_controllen = control.size();
    if (::recvmsg(fd, &answer, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
      for (auto* header = CMSG_FIRSTHDR(&answer); header != nullptr; header = CMSG_NXTHDR(&answer, header)) {
        if (header->cmsg_level != level || header->cmsg_type != option) continue;
        sock_extended_err error{};
        std::memcpy(&error, CMSG_DATA(header), sizeof error);
        if (error.ee_errno == EMSGSIZE && error.ee_info != 0) mtu = error.ee_info;
      }
    }
  }
  set_option(fd, level, option, 0);
  return mtu;
}

// The option is the socket's and not the message's. What another thread sends meanwhile may be fragmented too, which does no harm.
ssize_t send_fragmented(int fd, Family family, const msghdr& message) {
  if (!fragment_too_long(fd, family)) return -1;
  const auto sent = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  const int error = errno;
  report_too_long(fd, family);
  errno = error;
  return sent;
}

}  // namespace drpf::system
