#include "net/datagram_socket.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "system/fd.h"
#include "system/socket_address.h"
#include "system/udp_socket.h"

namespace drpf::net {
namespace {

tl::unexpected<Error> open_failure(Port port, const std::string& device, const std::string& step) {
  return fail(failure("listen_failed",
                      "cannot listen on UDP port " + to_string(port) + " of " + device + ": " + step + ": " + std::strerror(errno),
                      "look for who has the port: ss -ulpn"));
}

}  // namespace

struct DatagramSocket::Impl {
  system::Fd fd;
  Family family = Family::v4;
  Port port;
  std::string device;
  Handler handler;
  Watch watch;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;

  struct Slot {
    std::array<std::uint8_t, datagram_size_max> bytes;
    sockaddr_storage from;
    alignas(cmsghdr) std::array<std::uint8_t, system::ReceiveControl::size> control;
    iovec part;
  };
  std::vector<Slot> slots = std::vector<Slot>(batch_max);
  std::array<mmsghdr, batch_max> messages{};
  std::vector<Datagram> batch;

  void read() {
    for (std::size_t i = 0; i < batch_max; ++i) {
      auto& slot = slots[i];
      slot.part = {slot.bytes.data(), slot.bytes.size()};
      auto& header = messages[i].msg_hdr;
      header = {};
      header.msg_name = &slot.from;
      header.msg_namelen = sizeof slot.from;
      header.msg_iov = &slot.part;
      header.msg_iovlen = 1;
      header.msg_control = slot.control.data();
      header.msg_controllen = slot.control.size();
    }
    const int count = ::recvmmsg(fd.get(), messages.data(), batch_max, MSG_DONTWAIT, nullptr);
    if (count <= 0) return;
    batch.clear();
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      const auto from = system::from_socket_address(slots[i].from);
      const auto to = system::ReceiveControl::read(messages[i].msg_hdr).source.address;
      if (from && to) batch.push_back({*from, *to, ByteView(slots[i].bytes).first(messages[i].msg_len)});
    }
    received += batch.size();
    handler(batch);
  }
};

DatagramSocket::DatagramSocket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DatagramSocket::~DatagramSocket() = default;

Result<std::unique_ptr<DatagramSocket>> DatagramSocket::open(EventLoop& loop, Family family, Port port, const std::string& device,
                                                             Handler handler) {
  auto impl = std::make_unique<Impl>();
  impl->family = family;
  impl->port = port;
  impl->device = device;
  impl->handler = std::move(handler);
  const bool v4 = family == Family::v4;
  impl->fd = system::Fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int fd = impl->fd.get();
  if (!impl->fd.valid()) return open_failure(port, device, "opening a socket");
  const bool good = v4 ? system::set_option(fd, IPPROTO_IP, IP_PKTINFO, 1)
                       : system::set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) && system::set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  if (!good) return open_failure(port, device, "setting its options");
  (void)system::set_option(fd, SOL_SOCKET, SO_RCVBUF, buffer_bytes);  // as much of it as the host allows
  if (::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device.c_str(), static_cast<socklen_t>(device.size())) != 0)
    return open_failure(port, device, "binding to the interface");
  const auto address = system::to_socket_address(Endpoint{v4 ? Address::v4(0) : Address::from_bytes(std::array<std::uint8_t, 16>{}), port});
  if (::bind(fd, address.get(), address.size) != 0) return open_failure(port, device, "binding to the port");
  auto* raw = impl.get();
  impl->watch = loop.watch_readable(fd, [raw] { raw->read(); });
  return std::unique_ptr<DatagramSocket>(new DatagramSocket(std::move(impl)));
}

Status DatagramSocket::join(const Address& group) {
  const auto index = ::if_nametoindex(impl_->device.c_str());
  int done = -1;
  if (index != 0 && group.is_v4()) {
    ip_mreqn request{};
    request.imr_multiaddr.s_addr = htonl(group.v4_host_order());
    request.imr_ifindex = static_cast<int>(index);
    done = ::setsockopt(impl_->fd.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request);
  } else if (index != 0) {
    ipv6_mreq request{};
    std::memcpy(&request.ipv6mr_multiaddr, group.bytes().data(), group.bytes().size());
    request.ipv6mr_interface = index;
    done = ::setsockopt(impl_->fd.get(), IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request, sizeof request);
  }
  if (done != 0) return open_failure(impl_->port, impl_->device, "joining the group " + to_string(group));
  return {};
}

void DatagramSocket::send(const Endpoint& to, const Address& from, ByteView bytes) {
  auto address = system::to_socket_address(to);
  iovec part{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_name = &address.storage;
  message.msg_namelen = address.size;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  system::SendControl control;
  control.attach(message, impl_->family, {from, 0}, 0);
  if (::sendmsg(impl_->fd.get(), &message, MSG_DONTWAIT) >= 0) ++impl_->sent;
}

std::uint64_t DatagramSocket::sent() const { return impl_->sent; }
std::uint64_t DatagramSocket::received() const { return impl_->received; }

}  // namespace drpf::net
