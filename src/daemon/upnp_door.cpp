#include "daemon/upnp_door.h"

#include <algorithm>
#include <utility>

#include "configuration/policy.h"

namespace drpf::daemon {

namespace upnp = protocol::upnp;

namespace {

upnp::Identity identity_of(const std::array<std::uint8_t, 32>& public_key) {
  upnp::Identity identity{};
  std::copy_n(public_key.begin(), identity.size(), identity.begin());
  return identity;
}

}  // namespace

UpnpDoor::UpnpDoor(gateway::Gateway& gateway, gateway::PortMappings& mappings, const std::array<std::uint8_t, 32>& identity, Port http_port)
    : gateway_(gateway),
      server_(mappings, identity_of(identity), [this](const Address& client) { return link_of(client); }),
      opened_(gateway.now()),
      http_port_(http_port),
      http_(sockets()) {}

net::UpnpSockets UpnpDoor::sockets() {
  return net::UpnpSockets(
      server_, [&gateway = gateway_] { return gateway.now(); }, http_port_,
      [this](const Address& device) { return device.is_v4() ? configuration::gateway_address_for(device) : gateway_v6_; });
}

Status UpnpDoor::open(net::EventLoop& loop, const std::string& tunnel_interface, const std::optional<Address>& gateway_v6) {
  gateway_v6_ = gateway_v6.value_or(Address{});
  discovery_.push_back(std::make_unique<net::UpnpSockets>(sockets()));
  return discovery_.back()->open(loop, tunnel_interface, true, gateway_v6.has_value());
}

upnp::Link UpnpDoor::link_of(const Address& client) const {
  upnp::Link link;
  link.uptime = gateway_.now() - opened_;
  const auto* device = gateway_.book().device_at(client);
  if (const auto tunnel = device ? gateway_.device_tunnel(device->id) : std::nullopt) {
    link.bytes_sent = tunnel->bytes_received;
    link.bytes_received = tunnel->bytes_sent;
  }
  return link;
}

}  // namespace drpf::daemon
