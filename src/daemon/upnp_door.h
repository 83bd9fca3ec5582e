// UPnP on the gateway's tunnel addresses: the HTTP requests under /upnp that the devices' API server hands over, and SSDP on UDP port 1900.
// Only the wiring; what requests mean is in protocol/upnp/.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/port.h"
#include "core/result.h"
#include "gateway/gateway.h"
#include "gateway/port_mappings.h"
#include "net/event_loop.h"
#include "net/http_server.h"
#include "net/port_mapping_sockets.h"
#include "protocol/upnp/server.h"

namespace drpf::daemon {

class UpnpDoor {
 public:
  // `http_port`: where the devices' API server listens. The identity is the gateway's for life; its public key will do.
  UpnpDoor(gateway::Gateway& gateway, gateway::PortMappings& mappings, const std::array<std::uint8_t, 32>& identity, Port http_port);

  // Discovery, on each tunnel by itself. Without it a program must be told the URL.
  Status open(net::EventLoop& loop, const std::string& tunnel_interface, const std::optional<Address>& gateway_v6);

  void close() { discovery_.clear(); }  // discovery only

  static bool is_for(const net::Request& request) { return net::UpnpSockets::is_for(request); }
  void handle(const net::Request& request, const net::Respond& respond) { http_.handle(request, respond); }

  const protocol::upnp::Counters& counters() const { return server_.counters(); }

 private:
  protocol::upnp::Link link_of(const Address& client) const;
  net::UpnpSockets sockets();

  gateway::Gateway& gateway_;
  protocol::upnp::Server server_;
  Time opened_;
  Address gateway_v6_;
  Port http_port_;
  net::UpnpSockets http_;
  std::vector<std::unique_ptr<net::UpnpSockets>> discovery_;
};

}  // namespace drpf::daemon
