#include "net/port_mapping_sockets.h"

#include <utility>

namespace drpf::net {

namespace nat_pmp = protocol::nat_pmp;
namespace upnp = protocol::upnp;

Status PortMappingSockets::open(EventLoop& loop, const std::string& device, bool ipv4, bool ipv6, Port on) {
  for (const auto family : {Family::v4, Family::v6}) {
    if (family == Family::v4 ? !ipv4 : !ipv6) continue;
    auto socket = DatagramSocket::open(loop, family, on, device, [this](std::span<const Datagram> batch) { receive(batch); });
    if (!socket) return fail(socket.error());
    (family == Family::v4 ? v4_ : v6_) = std::move(*socket);
  }
  return {};
}

void PortMappingSockets::close() {
  v4_.reset();
  v6_.reset();
}

void PortMappingSockets::send(const Endpoint& to, const Address& from, ByteView bytes) {
  if (auto* socket = socket_of(to.address.family())) socket->send(to, from, bytes);
}

void PortMappingSockets::receive(std::span<const Datagram> batch) {
  const auto answer_all = [&] {
    for (const auto& datagram : batch) {
      if (datagram.bytes.empty() || (admits_ && !admits_(datagram.from.address))) continue;
      // The answer may come when the socket is closed.
      const auto reply = [this, to = datagram.from, from = datagram.to](const Bytes& answer) { send(to, from, answer); };
      if (datagram.bytes.front() == nat_pmp::version)
        nat_pmp_.receive(datagram.bytes, datagram.from.address, reply);
      else
        pcp_.receive(datagram.bytes, datagram.from.address, reply);
    }
  };
  if (together_)
    together_(answer_all);
  else
    answer_all();
}

Status UpnpSockets::open(EventLoop& loop, const std::string& device, bool ipv4, bool ipv6, Port on) {
  for (const auto family : {Family::v4, Family::v6}) {
    if (family == Family::v4 ? !ipv4 : !ipv6) continue;
    auto& place = family == Family::v4 ? v4_ : v6_;
    auto socket =
        DatagramSocket::open(loop, family, on, device, [this, &place](std::span<const Datagram> batch) { receive(*place, batch); });
    if (!socket) return fail(socket.error());
    place = std::move(*socket);
    if (auto joined = place->join(family == Family::v4 ? upnp::ssdp_group_v4 : upnp::ssdp_group_v6()); !joined) return joined;
  }
  return {};
}

void UpnpSockets::close() {
  v4_.reset();
  v6_.reset();
}

void UpnpSockets::receive(DatagramSocket& socket, std::span<const Datagram> batch) {
  for (const auto& datagram : batch) {
    const auto asked = datagram.to.is_multicast() ? own_(datagram.from.address) : datagram.to;
    const std::string_view text(reinterpret_cast<const char*>(datagram.bytes.data()), datagram.bytes.size());
    for (const auto& answer : server_.search(text, datagram.from.address, {asked, http_port_}, now_()))
      socket.send(datagram.from, asked, {reinterpret_cast<const std::uint8_t*>(answer.data()), answer.size()});
  }
}

void UpnpSockets::handle(const Request& request, const Respond& respond) {
  upnp::HttpRequest asked;
  asked.method = request.method;
  asked.path = request.path;
  asked.host = request.host;
  asked.origin = request.origin;
  asked.soap_action = request.soap_action;
  asked.user_agent = request.user_agent;
  asked.body = request.body;
  if (request.peer) asked.source = request.peer->address;
  server_.handle(asked, now_(), [respond](upnp::HttpResponse given) {
    Response response;
    response.status = given.status;
    response.content_type = "text/xml; charset=\"utf-8\"";
    response.body = std::move(given.body);
    respond(std::move(response));
  });
}

}  // namespace drpf::net
