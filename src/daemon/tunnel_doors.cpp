#include "daemon/tunnel_doors.h"

#include <spdlog/logger.h>

#include "daemon/ways_in.h"

namespace drpf::daemon {

TunnelDoors::TunnelDoors(const configuration::Configuration& configuration, Parts parts)
    : parts_(std::move(parts)),
      interfaces_(tunnel_interfaces(configuration)),
      gateway_v4_(configuration.tunnel_v4.nth(1)),
      api_port_(configuration.api_port) {
  if (configuration.tunnel_v6) gateway_v6_ = configuration.tunnel_v6->nth(1);
  for (std::size_t i = 0; i < interfaces_.size(); ++i) port_mappings_.push_back(std::make_unique<PortMappingDoor>(parts_.mappings));
  if (configuration.upnp) upnp_ = std::make_unique<UpnpDoor>(parts_.gateway, parts_.mappings, parts_.identity, api_port_);
}

Status TunnelDoors::open() {
  if (auto opened = open_port_mappings(); !opened) return opened;
  open_upnp_discovery();
  return open_servers();
}

Status TunnelDoors::reopen(bool moved) {
  if (moved) return open();
  open_upnp_discovery();
  return {};
}

Status TunnelDoors::open_port_mappings() {
  for (std::size_t i = 0; i < interfaces_.size(); ++i) {
    port_mappings_[i]->close();
    if (auto opened = port_mappings_[i]->open(parts_.loop, interfaces_[i], gateway_v6_.has_value()); !opened) return opened;
  }
  return {};
}

void TunnelDoors::open_upnp_discovery() {
  if (!upnp_) return;
  upnp_->close();
  for (const auto& interface : interfaces_)
    if (auto opened = upnp_->open(parts_.loop, interface, gateway_v6_); !opened)
      parts_.log->warn("programs do not find this gateway by UPnP, and must be told http://{}:{}/upnp: {}", to_string(gateway_v4_),
                       to_string(api_port_), opened.error().message);
}

Status TunnelDoors::open_servers() {
  servers_.clear();
  std::vector<Address> inside{Address::v4(0)};
  if (gateway_v6_) inside.push_back(*gateway_v6_);
  auto limits = parts_.limits;
  limits.requests_per_peer_per_s = requests_per_address_per_s;
  for (const auto& interface : interfaces_)
    for (const auto& address : inside) {
      auto server = net::HttpServer::listen_tcp(
          parts_.loop, {address, api_port_}, [this](const net::Request& request, const net::Respond& respond) { answer(request, respond); },
          limits, interface);
      if (!server) return fail(server.error());
      servers_.push_back(std::move(*server));
    }
  return {};
}

void TunnelDoors::answer(const net::Request& request, const net::Respond& respond) {
  if (upnp_ && UpnpDoor::is_for(request)) return upnp_->handle(request, respond);
  parts_.device_api.handle(request, respond);
}

void TunnelDoors::announce_addresses() {
  for (const auto& door : port_mappings_) {
    std::vector<Address> devices;
    for (const auto* device : parts_.gateway.book().devices()) {
      const auto* way_in = device->connected ? parts_.gateway.way_in_of(device->id) : nullptr;
      if (way_in != nullptr && way_in->interface() == door->interface()) devices.push_back(device->tunnel_v4);
    }
    door->announce(devices);
  }
}

}  // namespace drpf::daemon
