// NAT-PMP and PCP on the gateway's addresses in one tunnel: requests that come together are committed together, and devices are told when
// the public address changes.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "gateway/port_mappings.h"
#include "net/event_loop.h"
#include "net/port_mapping_sockets.h"

namespace drpf::daemon {

class PortMappingDoor {
 public:
  explicit PortMappingDoor(gateway::PortMappings& mappings);
  Status open(net::EventLoop& loop, const std::string& tunnel_interface, bool ipv6) {
    interface_ = tunnel_interface;
    return sockets_.open(loop, tunnel_interface, true, ipv6);
  }
  void close() { sockets_.close(); }
  const std::string& interface() const { return interface_; }

  // RFC 6886 section 3.2.1, RFC 6887 section 14.1: the public address is another one. To each device by itself: a tunnel has no multicast.
  void announce(const std::vector<Address>& devices);

 private:
  gateway::PortMappings& mappings_;
  std::string interface_;
  net::PortMappingSockets sockets_;
};

}  // namespace drpf::daemon
