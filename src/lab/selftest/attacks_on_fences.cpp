// The fences between devices, and between the Internet and the inside of the tunnels.
#include <thread>

#include <fmt/format.h>

#include "lab/selftest/attacks.h"
#include "lab/selftest/limits.h"
#include "lab/selftest/packets.h"

namespace drpf::lab::selftest {
namespace {

// The honest visitor reaches the lease: the last control of most trials here.
void control_lease(Ground& ground, Family family, Watch& holder, Port port, Trial& trial) {
  auto visitor = Udp::open(ground.visitor, {ground.visitor_address(family), Port()});
  const std::string token = ground.token();
  if (visitor) visitor->send({ground.gateway_public(family), port}, token);
  trial.control(visitor && holder.awaits(token, limits::arrival), "a visitor from the Internet did not reach the lease");
}

// The attacker tries a UDP datagram and a TCP connection to `to`; true when either came to the holder.
bool reaches(Ground& ground, const Endpoint& from, const Endpoint& to, Watch& holder, const std::string& device, Trial& trial) {
  auto udp = Udp::open(ground.attacker.machine, from, device);
  if (!udp) {
    trial.control(false, udp.error().message);
    return false;
  }
  const std::string token = ground.token();
  for (int i = 0; i < limits::packets_each; ++i) udp->send(to, token);
  const bool connected = Tcp::connect(ground.attacker.machine, from, to, limits::silence, device).has_value();
  trial.control(ground.attacker.watch.sent(token), "the attacker's packet did not leave its machine");
  return connected || holder.saw(token);
}

}  // namespace

Finding port_fail(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  // Whoever is known to the gateway by an outer address of this family.
  const bool owner_attacks = family == Family::v6;
  Actor& holder = owner_attacks ? ground.attacker : ground.owner;
  Actor& attacker = owner_attacks ? ground.owner : ground.attacker;
  const auto port = ground.lease(holder);
  if (!port) return not_possible(port.error());
  auto server = Tcp::listen(holder.machine, {holder.inside(family), *port});
  if (!server) return not_possible(server.error());
  const Endpoint lease{ground.gateway_public(family), *port};
  const bool separate = ground.settings().entry_v4.has_value() || ground.settings().entry_v6.has_value();
  // Beside the tunnel, by the cable. With an entry address of its own the lease's address is inside the tunnel for every device.
  const std::string device = separate ? std::string() : public_interface;
  const Endpoint from{separate ? attacker.inside(family) : attacker.wan(family), Port()};
  auto udp = Udp::open(attacker.machine, from, device);
  auto outside = Udp::open(attacker.machine, {attacker.wan(family), Port()}, public_interface);
  auto peer = Udp::open(ground.visitor, {ground.visitor_address(family), Port()});
  if (!udp || !outside || !peer) return not_possible((!udp ? udp.error() : !outside ? outside.error() : peer.error()));
  const std::string token = ground.token(), beside = ground.token();
  outside->send({ground.visitor_address(family), peer->port()}, beside);
  const auto seen = peer->receive(beside, limits::arrival);
  trial.control(seen && seen->from.address == attacker.wan(family), "the attacker has no way beside its tunnel");
  for (int i = 0; i < limits::packets_each; ++i) udp->send(lease, token);
  const bool connected = Tcp::connect(attacker.machine, from, lease, limits::silence, device).has_value();
  control_lease(ground, family, holder.watch, *port, trial);
  std::this_thread::sleep_for(limits::settle);
  trial.breach(connected || holder.watch.saw(token),
               "a device that visits another's lease beside its tunnel shows it the address that it has on the Internet");
  return trial.end(
      separate ? "devices connect to an address that has no leases; a visit by the tunnel did not come through either"
               : "a device visited another's lease beside its tunnel; nothing came to the holder, who would have seen its real address");
}

Finding hairpin(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto port = ground.lease(ground.owner);
  if (!port) return not_possible(port.error());
  auto server = Tcp::listen(ground.owner.machine, {ground.owner.inside(family), *port});
  if (!server) return not_possible(server.error());
  trial.breach(
      reaches(ground, {ground.attacker.inside(family), Port()}, {ground.gateway_public(family), *port}, ground.owner.watch, {}, trial),
      "a device reaches another's lease through its own tunnel and shows its tunnel address");
  control_lease(ground, family, ground.owner.watch, *port, trial);
  return trial.end("a device visited another's lease through its own tunnel: nothing came to the holder");
}

Finding device_to_device(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto port = ground.lease(ground.owner);
  if (!port) return not_possible(port.error());
  auto server = Tcp::listen(ground.owner.machine, {ground.owner.inside(family), *port});
  auto raw = RawSender::on(ground.attacker.machine, family);
  if (!server || !raw) return not_possible((server ? raw.error() : server.error()));
  const Address other = ground.owner.inside(family), own = ground.attacker.inside(family);
  const std::string echo = ground.token();
  raw->send(other, echo_request({own, other}, 0x4600, echo));
  trial.breach(reaches(ground, {own, Port()}, {other, *port}, ground.owner.watch, {}, trial),
               "a device reaches another device by its tunnel address");
  trial.breach(ground.owner.watch.saw(echo), "a device pings another device");
  control_lease(ground, family, ground.owner.watch, *port, trial);
  return trial.end("a device tried another by its tunnel address, with UDP, TCP and ping: nothing came");
}

namespace {

Finding spoofed(Ground& ground, Family family, const std::vector<Address>& sources, const std::string& whose) {
  ground.forget();
  Trial trial;
  auto raw = RawSender::on(ground.attacker.machine, family);
  auto sink = Udp::open(ground.visitor, {ground.visitor_address(family), Port()});
  if (!raw || !sink) return not_possible((raw ? sink.error() : raw.error()));
  const Address visitor = ground.visitor_address(family);
  const Ports ports{Port(4000), sink->port()};
  std::vector<std::string> tokens;
  for (const Address& source : sources) {
    tokens.push_back(ground.token());
    for (int i = 0; i < limits::packets_each; ++i) raw->send(visitor, udp_packet({source, visitor}, ports, tokens.back()));
  }
  // The same with the truth, later on the same way.
  const std::string honest = ground.token();
  raw->send(visitor, udp_packet({ground.attacker.inside(family), visitor}, ports, honest));
  trial.control(ground.visitor_watch.awaits(honest, limits::arrival), "the device's own packet did not come through");
  std::this_thread::sleep_for(limits::settle);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    trial.control(ground.attacker.watch.sent(tokens[i]), "the false packet did not leave the device");
    trial.breach(ground.visitor_watch.saw(tokens[i]),
                 fmt::format("a device's packet with the source {} left for the Internet", to_string(sources[i])));
  }
  return trial.end(fmt::format("a device sent with the address {}: nothing left, while its own did", whose));
}

}  // namespace

Finding spoofed_device(Ground& ground, Family family) {
  return spoofed(ground, family, {ground.owner.inside(family), ground.second.inside(family)}, "of another device");
}

Finding spoofed_stranger(Ground& ground, Family family) {
  const std::string stranger = family == Family::v4 ? "203.0.113.99" : "2001:db8:bad::9";
  return spoofed(ground, family, {*parse_address(stranger), ground.gateway_public(family), ground.attacker.wan(family)},
                 "of a stranger, of the gateway, and of its own cable");
}

Finding tunnel_address_from_outside(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto port = ground.lease(ground.owner);
  if (!port) return not_possible(port.error());
  const Prefix prefix = family == Family::v4 ? ground.settings().tunnel_v4 : *ground.settings().tunnel_v6;
  auto raw = RawSender::on(ground.visitor, family);
  if (!raw) return not_possible(raw.error());
  const Address visitor = ground.visitor_address(family), gateway = ground.gateway_public(family);
  const Address inside = ground.owner.inside(family), api = prefix.nth(1);
  const std::string to_device = ground.token(), syn = ground.token(), to_gateway = ground.token(), as_device = ground.token();
  for (int i = 0; i < limits::packets_each; ++i) {
    raw->send(inside, udp_packet({visitor, inside}, {Port(4000), *port}, to_device));
    raw->send(inside, tcp_packet({visitor, inside}, {Port(4000), *port}, tcp_flag::syn, 1, syn));
    raw->send(api, tcp_packet({visitor, api}, {Port(4001), ground.settings().api_port}, tcp_flag::syn, 1, to_gateway));
    // A stranger with a device's address, to a lease.
    raw->send(gateway, udp_packet({ground.attacker.inside(family), gateway}, {Port(4000), *port}, as_device));
  }
  control_lease(ground, family, ground.owner.watch, *port, trial);
  std::this_thread::sleep_for(limits::settle);
  for (const auto& [token, what] : {std::pair{to_device, "UDP to a device's tunnel address"},
                                    {syn, "TCP to a device's tunnel address"},
                                    {as_device, "a packet with a tunnel address as its source"}}) {
    trial.control(ground.gateway_watch.saw(token), "the packet did not come to the gateway");
    trial.breach(ground.owner.watch.saw(token), fmt::format("{} from the Internet came to the device", what));
  }
  auto api_socket = Tcp::connect(ground.visitor, {visitor, Port()}, {api, ground.settings().api_port}, limits::silence);
  trial.breach(api_socket.has_value(), "the devices' API answers from the Internet");
  return trial.end("a neighbour of the gateway sent to tunnel addresses, and with them: nothing came to a device or to the API");
}

Finding fragments(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto port = ground.lease(ground.owner);
  if (!port) return not_possible(port.error());
  auto raw = RawSender::on(ground.visitor, family);
  auto server = Udp::open(ground.owner.machine, {ground.owner.inside(family), *port});
  if (!raw || !server) return not_possible((raw ? server.error() : raw.error()));
  const Address visitor = ground.visitor_address(family), gateway = ground.gateway_public(family);
  const Addresses addresses{visitor, gateway};
  const auto long_text = [&] { return ground.token() + std::string(200, '.'); };
  const std::string whole = long_text(), overlapping = long_text(), closed_port = long_text(), backwards = long_text(),
                    lonely = long_text();
  const Ports to_lease{Port(4100), *port};
  // A port that nobody leases: what comes there must come to nobody.
  const Port closed(static_cast<std::uint16_t>(ground.settings().wireguard_port.value() == 9 ? 11 : 9));
  std::uint16_t identification = 100;
  for (const std::string& packet : udp_fragments(addresses, to_lease, overlapping, ++identification, 64)) raw->send(gateway, packet);
  for (const std::string& packet : udp_fragments(addresses, {Port(4100), closed}, closed_port, ++identification, 0))
    raw->send(gateway, packet);
  raw->send(gateway, udp_fragments(addresses, to_lease, lonely, ++identification, 0)[1]);  // an end without its beginning
  auto reversed = udp_fragments(addresses, {Port(4101), *port}, backwards, ++identification, 0);
  raw->send(gateway, reversed[1]);
  raw->send(gateway, reversed[0]);
  for (const std::string& packet : udp_fragments(addresses, to_lease, whole, ++identification, 0)) raw->send(gateway, packet);
  trial.control(server->receive(whole, limits::arrival).has_value(), "a datagram in two good fragments did not come to its lease");
  std::this_thread::sleep_for(limits::settle);
  const auto head = [](const std::string& text) { return text.substr(0, text.find('.')); };
  trial.breach(server->receive(overlapping, Duration::zero()).has_value(), "a datagram in overlapping fragments was put together");
  for (const std::string& text : {overlapping, closed_port, backwards, lonely})
    for (Watch* other : {&ground.attacker.watch, &ground.second.watch})
      trial.breach(other->saw(head(text)), "a fragment came to a device that it was not for");
  trial.breach(ground.owner.watch.saw(head(closed_port)), "a fragment to a closed port came to a device");
  trial.control(ground.leases().has_value(), "the gateway does not answer any more");
  return trial.end("overlapping, lonely and reversed fragments came to nobody whom they were not for; good ones came to their lease");
}

Finding forged_errors(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto port = ground.lease(ground.owner);
  if (!port) return not_possible(port.error());
  auto raw = RawSender::on(ground.visitor, family);
  auto sender = Udp::open(ground.owner.machine, {ground.owner.inside(family), *port});
  if (!raw || !sender) return not_possible((raw ? sender.error() : raw.error()));
  const Address visitor = ground.visitor_address(family), gateway = ground.gateway_public(family);
  const Addresses to_gateway{visitor, gateway};
  const Ports unknown{*port, Port(4567)};
  // Errors about packets that nobody sent: from the lease, from a translated port, from a device's tunnel address.
  std::vector<std::string> tokens;
  for (const auto& [source, from_port] :
       {std::pair{gateway, *port}, {gateway, ground.settings().snat.first()}, {ground.owner.inside(family), *port}}) {
    tokens.push_back(ground.token());
    raw->send(gateway, port_unreachable(to_gateway, udp_packet({source, visitor}, {from_port, unknown.target}, tokens.back())));
    raw->send(gateway,
              port_unreachable(to_gateway, tcp_packet({source, visitor}, {from_port, unknown.target}, tcp_flag::ack, 7, tokens.back())));
  }
  // Odd flags to the lease.
  const std::string odd = ground.token();
  using namespace tcp_flag;
  for (const int flags :
       {0, fin | psh | 0x20, syn | fin, syn | rst, fin | syn | rst | psh | ack | 0x20, static_cast<int>(rst), static_cast<int>(ack)})
    raw->send(gateway, tcp_packet(to_gateway, {Port(4200), *port}, static_cast<std::uint8_t>(flags), 9, odd));
  // An honest error about a packet that the device did send.
  const std::string honest = ground.token();
  sender->send({visitor, Port(4568)}, honest);
  trial.control(ground.owner.watch.awaits(honest, limits::arrival), "a true 'port unreachable' did not come back to the device");
  control_lease(ground, family, ground.owner.watch, *port, trial);
  std::this_thread::sleep_for(limits::settle);
  for (const Actor* actor : {&ground.attacker, &ground.owner, &ground.second}) {
    auto& watch = const_cast<Actor*>(actor)->watch;
    for (const std::string& token : tokens) trial.breach(watch.saw(token), "a forged ICMP error came to a device");
    trial.breach(watch.saw(odd), "a TCP packet with impossible flags came to a device");
  }
  return trial.end("forged ICMP errors and TCP packets with impossible flags came to no device; a true error did");
}

}  // namespace drpf::lab::selftest
