#include "lab/stage/packet_watch.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string_view>

namespace drpf::lab {
namespace {

bool is_icmp(std::string_view packet) {
  constexpr std::size_t protocol_v4 = 9;     // RFC 791 section 3.1
  constexpr std::size_t next_header_v6 = 6;  // RFC 8200 section 3
  if (packet.size() <= protocol_v4) return false;
  const int version = static_cast<unsigned char>(packet[0]) >> 4;
  return version == 4 ? packet[protocol_v4] == IPPROTO_ICMP : version == 6 && packet[next_header_v6] == IPPROTO_ICMPV6;
}

}  // namespace

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
    if (is_icmp(text)) continue;  // an error message that quotes the packet is not the packet
    if (text.find(one) != std::string_view::npos) ++found.first;
    if (text.find(other) != std::string_view::npos) ++found.second;
  }
  return found;
}

}  // namespace drpf::lab
