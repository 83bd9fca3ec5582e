#include "cli/demo/packet_watch.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string_view>

namespace drpf::cli::demo {

Result<PacketWatch> PacketWatch::on(const Machine& machine) {
  Result<system::Fd> socket = machine.open_socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
  if (!socket) return fail(socket.error());
  constexpr int receive_buffer = 4 << 20;
  setsockopt(socket->get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  return PacketWatch(std::move(*socket));
}

std::pair<std::size_t, std::size_t> PacketWatch::count(const std::string& one, const std::string& other) {
  std::pair<std::size_t, std::size_t> found;
  char packet[2048];
  for (ssize_t length; (length = ::recv(socket_.get(), packet, sizeof packet, MSG_DONTWAIT)) >= 0;) {
    const std::string_view text(packet, static_cast<std::size_t>(length));
    const bool icmp = length > 20 && packet[0] >> 4 == 4 && packet[9] == IPPROTO_ICMP;
    if (icmp) continue;  // an error message that quotes the packet is not the packet
    if (text.find(one) != std::string_view::npos) ++found.first;
    if (text.find(other) != std::string_view::npos) ++found.second;
  }
  return found;
}

}  // namespace drpf::cli::demo
