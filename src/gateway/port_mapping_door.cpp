#include "gateway/port_mapping_door.h"

#include "gateway/policy.h"

namespace drpf::gateway {

namespace nat_pmp = protocol::nat_pmp;
namespace pcp = protocol::pcp;

Status PortMappingDoor::open(net::EventLoop& loop, const std::string& tunnel_interface, bool ipv6) {
  for (const auto family : {Family::v4, Family::v6}) {
    if (family == Family::v6 && !ipv6) continue;
    auto socket = net::DatagramSocket::open(loop, family, port, tunnel_interface,
                                            [this, family](std::span<const net::Datagram> batch) { receive(*socket_of(family), batch); });
    if (!socket) return fail(socket.error());
    (family == Family::v4 ? v4_ : v6_) = std::move(*socket);
  }
  return {};
}

void PortMappingDoor::receive(net::DatagramSocket& socket, std::span<const net::Datagram> batch) {
  const PortMappings::Batch together(mappings_);
  for (const auto& datagram : batch) {
    if (datagram.bytes.empty()) continue;
    const auto reply = [&socket, to = datagram.from, from = datagram.to](const Bytes& answer) { socket.send(to, from, answer); };
    if (datagram.bytes.front() == nat_pmp::version)
      nat_pmp_.receive(datagram.bytes, datagram.from.address, reply);
    else
      pcp_.receive(datagram.bytes, datagram.from.address, reply);
  }
}

void PortMappingDoor::announce(const std::vector<Address>& devices) {
  for (const auto& device : devices) {
    auto* socket = socket_of(device.family());
    const auto client = mappings_.client(device);
    if (socket == nullptr || !client) continue;
    const Endpoint to{device, announce_port};
    const auto from = device.is_v4() ? gateway_address_for(device) : Address{};
    if (device.is_v4() && client->external_v4)
      socket->send(to, from, nat_pmp::external_address_response(mappings_.epoch_s(), *client->external_v4));
    socket->send(to, from, pcp::announce_response(mappings_.epoch_s()));
  }
}

}  // namespace drpf::gateway
