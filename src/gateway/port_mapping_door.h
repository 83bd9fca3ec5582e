// NAT-PMP and PCP on the gateway's tunnel addresses: UDP datagrams in, answers out. Only the wiring; what they mean is in protocol/.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "gateway/port_mappings.h"
#include "net/datagram_socket.h"
#include "net/event_loop.h"
#include "protocol/nat_pmp/server.h"
#include "protocol/pcp/server.h"

namespace drpf::gateway {

class PortMappingDoor {
 public:
  static constexpr Port port{5351};           // RFC 6886 section 3, RFC 6887 section 19.1
  static constexpr Port announce_port{5350};  // where clients listen

  explicit PortMappingDoor(PortMappings& mappings) : mappings_(mappings), nat_pmp_(mappings), pcp_(mappings) {}
  Status open(net::EventLoop& loop, const std::string& tunnel_interface, bool ipv6);

  // RFC 6886 section 3.2.1, RFC 6887 section 14.1: the public address is another one. To each device by itself: a tunnel has no multicast.
  void announce(const std::vector<Address>& devices);

 private:
  void receive(net::DatagramSocket& socket, std::span<const net::Datagram> batch);
  net::DatagramSocket* socket_of(Family family) { return family == Family::v4 ? v4_.get() : v6_.get(); }

  PortMappings& mappings_;
  protocol::nat_pmp::Server nat_pmp_;
  protocol::pcp::Server pcp_;
  std::unique_ptr<net::DatagramSocket> v4_;
  std::unique_ptr<net::DatagramSocket> v6_;
};

}  // namespace drpf::gateway
