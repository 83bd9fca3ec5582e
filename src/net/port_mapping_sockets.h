// The sockets of the port-mapping protocols on one network interface: NAT-PMP and PCP on UDP port 5351, UPnP's search on 1900, and UPnP's
// HTTP requests as they come from a server. Only the wiring; what messages mean is in protocol/.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "core/time.h"
#include "net/datagram_socket.h"
#include "net/event_loop.h"
#include "net/http_server.h"
#include "protocol/nat_pmp/server.h"
#include "protocol/pcp/server.h"
#include "protocol/upnp/server.h"

namespace drpf::net {

class PortMappingSockets {
 public:
  static constexpr Port port{5351};           // RFC 6886 section 3, RFC 6887 section 19.1
  static constexpr Port announce_port{5350};  // where clients listen

  // Runs what is given to it: requests that came together may be carried out together. Without it they are just run.
  using Together = std::function<void(const std::function<void()>&)>;
  // Whether a datagram is looked at at all; asked for each.
  using Admits = std::function<bool(const Address& source)>;

  explicit PortMappingSockets(protocol::port_mapping::Mappings& mappings, Together together = {}, Admits admits = {})
      : nat_pmp_(mappings), pcp_(mappings), together_(std::move(together)), admits_(std::move(admits)) {}

  Status open(EventLoop& loop, const std::string& device, bool ipv4, bool ipv6, Port on = port);
  void close();  // answers that are still to come are dropped; may be opened again
  void send(const Endpoint& to, const Address& from, ByteView bytes);

 private:
  void receive(std::span<const Datagram> batch);
  DatagramSocket* socket_of(Family family) { return family == Family::v4 ? v4_.get() : v6_.get(); }

  protocol::nat_pmp::Server nat_pmp_;
  protocol::pcp::Server pcp_;
  Together together_;
  Admits admits_;
  std::unique_ptr<DatagramSocket> v4_;
  std::unique_ptr<DatagramSocket> v6_;
};

class UpnpSockets {
 public:
  // Our address as this client has it.
  using OwnAddress = std::function<Address(const Address& client)>;

  // `http_port`: where the HTTP server listens that hands its requests over. Both must outlive this.
  UpnpSockets(protocol::upnp::Server& server, std::function<Time()> now, Port http_port, OwnAddress own)
      : server_(server), now_(std::move(now)), http_port_(http_port), own_(std::move(own)) {}

  // Discovery. Without it a program must be told the URL.
  Status open(EventLoop& loop, const std::string& device, bool ipv4, bool ipv6, Port on = Port{protocol::upnp::ssdp_port});

  void close();

  static bool is_for(const Request& request) { return !request.path.empty() && request.path.front() == "upnp"; }
  void handle(const Request& request, const Respond& respond);

 private:
  void receive(DatagramSocket& socket, std::span<const Datagram> batch);

  protocol::upnp::Server& server_;
  std::function<Time()> now_;
  Port http_port_;
  OwnAddress own_;
  std::unique_ptr<DatagramSocket> v4_;
  std::unique_ptr<DatagramSocket> v6_;
};

}  // namespace drpf::net
