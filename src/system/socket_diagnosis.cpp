#include "system/socket_diagnosis.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace drpf::system {

std::optional<OwnedSocket> read_diagnosis(ByteView payload, Protocol protocol) {
  inet_diag_msg message{};
  if (payload.size() < sizeof message) return std::nullopt;
  std::memcpy(&message, payload.data(), sizeof message);
  std::size_t size = 0;
  if (message.idiag_family == AF_INET) size = 4;
  if (message.idiag_family == AF_INET6) size = 16;
  const auto port = ntohs(message.id.idiag_sport);
  if (size == 0 || port == 0) return std::nullopt;
  OwnedSocket socket;
  socket.listening.protocol = protocol;
  socket.listening.local = {Address::from_bytes(ByteView(reinterpret_cast<const std::uint8_t*>(message.id.idiag_src), size)), Port{port}};
  socket.interface = message.id.idiag_if;
  socket.inode = message.idiag_inode;
  return socket;
}

Result<SocketDiagnosis> SocketDiagnosis::open() {
  auto socket = NetlinkSocket::open(NETLINK_SOCK_DIAG);
  if (!socket) return fail(socket.error());
  return SocketDiagnosis(std::move(*socket));
}

Result<std::vector<OwnedSocket>> SocketDiagnosis::listening() {
  std::vector<OwnedSocket> sockets;
  for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
    for (const int family : {AF_INET, AF_INET6}) {
      inet_diag_req_v2 wanted{};
      wanted.sdiag_family = static_cast<std::uint8_t>(family);
      wanted.sdiag_protocol = protocol == Protocol::tcp ? IPPROTO_TCP : IPPROTO_UDP;
      // A UDP socket without a peer is in the state that TCP calls closed.
      wanted.idiag_states = 1U << (protocol == Protocol::tcp ? TCP_LISTEN : TCP_CLOSE);
      NetlinkWriter message;
      message.message(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, socket_.next_sequence())
          .header(ByteView(reinterpret_cast<const std::uint8_t*>(&wanted), sizeof wanted));
      // What changed while it was read is seen the next time.
      const auto dumped = socket_.dump(message, "list the listening sockets", [&](const NetlinkMessage& reply) {
        if (const auto socket = read_diagnosis(reply.payload, protocol)) sockets.push_back(*socket);
      });
      if (!dumped && is_errno(dumped.error(), ENOENT)) continue;  // a kernel without this family or protocol
      if (!dumped) return fail(dumped.error());
    }
  }
  std::sort(sockets.begin(), sockets.end());
  sockets.erase(std::unique(sockets.begin(), sockets.end()), sockets.end());
  return sockets;
}

}  // namespace drpf::system
