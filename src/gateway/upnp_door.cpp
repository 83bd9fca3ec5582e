#include "gateway/upnp_door.h"

#include <algorithm>
#include <utility>

#include "gateway/policy.h"

namespace drpf::gateway {

namespace upnp = protocol::upnp;

namespace {

upnp::Identity identity_of(const tunnel::Key& public_key) {
  upnp::Identity identity{};
  std::copy_n(public_key.begin(), identity.size(), identity.begin());
  return identity;
}

}  // namespace

UpnpDoor::UpnpDoor(Gateway& gateway, PortMappings& mappings, const tunnel::Key& identity, Port http_port)
    : gateway_(gateway),
      server_(mappings, identity_of(identity), [this](const Address& client) { return link_of(client); }),
      opened_(gateway.now()),
      http_port_(http_port) {}

Status UpnpDoor::open(net::EventLoop& loop, const std::string& tunnel_interface, const std::optional<Address>& gateway_v6) {
  gateway_v6_ = gateway_v6.value_or(Address{});
  for (const auto family : {Family::v4, Family::v6}) {
    if (family == Family::v6 && !gateway_v6) continue;
    auto& place = family == Family::v4 ? v4_ : v6_;
    auto socket = net::DatagramSocket::open(loop, family, Port{upnp::ssdp_port}, tunnel_interface,
                                            [this, &place](std::span<const net::Datagram> batch) { receive(*place, batch); });
    if (!socket) return fail(socket.error());
    place = std::move(*socket);
    if (auto joined = place->join(family == Family::v4 ? upnp::ssdp_group_v4 : upnp::ssdp_group_v6()); !joined) return joined;
  }
  return {};
}

void UpnpDoor::receive(net::DatagramSocket& socket, std::span<const net::Datagram> batch) {
  for (const auto& datagram : batch) {
    auto asked = datagram.to;
    if (asked.is_multicast()) asked = asked.is_v4() ? gateway_address_for(datagram.from.address) : gateway_v6_;
    const std::string_view text(reinterpret_cast<const char*>(datagram.bytes.data()), datagram.bytes.size());
    for (const auto& answer : server_.search(text, datagram.from.address, {asked, http_port_}, gateway_.now()))
      socket.send(datagram.from, asked, {reinterpret_cast<const std::uint8_t*>(answer.data()), answer.size()});
  }
}

void UpnpDoor::handle(const net::Request& request, const net::Respond& respond) {
  upnp::HttpRequest asked;
  asked.method = request.method;
  asked.path = request.path;
  asked.host = request.host;
  asked.origin = request.origin;
  asked.soap_action = request.soap_action;
  asked.user_agent = request.user_agent;
  asked.body = request.body;
  if (request.peer) asked.source = request.peer->address;
  server_.handle(asked, gateway_.now(), [respond](upnp::HttpResponse given) {
    net::Response response;
    response.status = given.status;
    response.content_type = "text/xml; charset=\"utf-8\"";
    response.body = std::move(given.body);
    respond(std::move(response));
  });
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

}  // namespace drpf::gateway
