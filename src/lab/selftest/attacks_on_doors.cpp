// What may be leased, who is answered on the public side, and what stays closed when others flush rules or the gateway dies.
#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include "lab/selftest/attacks.h"
#include "lab/selftest/limits.h"
#include "lab/selftest/packets.h"
#include "lab/stage/admin.h"
#include "lab/stage/wording.h"
#include "terminal/exit_code.h"

namespace drpf::lab::selftest {
namespace {

// The status line's code of the devices' API, asked from a device's machine through its tunnel; none = no answer.
std::optional<int> ask_api(Ground& ground, const Actor& actor, const std::string& method, const std::string& path,
                           const std::string& body) {
  const Address api = ground.settings().tunnel_v4.nth(1);
  auto socket = Tcp::connect(actor.machine, {actor.inside(Family::v4), Port()}, {api, ground.settings().api_port}, limits::arrival);
  if (!socket) return std::nullopt;
  socket->send(
      fmt::format("{} {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                  method, path, to_string(api), to_string(ground.settings().api_port), body.size(), body));
  const auto answer = socket->receive(limits::arrival);
  if (!answer || !answer->starts_with("HTTP/1.1 ")) return std::nullopt;
  return std::atoi(answer->c_str() + 9);
}

bool granted(const std::optional<int>& status) { return status && *status >= 200 && *status < 300; }

// Any port without a number.
std::optional<int> ask_for_port(Ground& ground, const Actor& actor, std::optional<Port> port) {
  const auto number = port ? fmt::format(R"("port":{},)", port->value()) : std::string();
  return ask_api(ground, actor, "POST", "/v1/self/leases",
                 fmt::format(R"({{{}"protocol":"both","lifetime_s":120,"host":"{}"}})", number, ground.settings().hosts.front().name));
}

// A visitor reaches the lease by UDP within the limit.
bool visited(Ground& ground, Family family, Watch& holder, Port port, Duration limit) {
  auto visitor = Udp::open(ground.visitor, {ground.visitor_address(family), Port()});
  if (!visitor) return false;
  const std::string token = ground.token();
  for (const lab::Stopwatch watch; watch.elapsed() < limit;) {
    visitor->send({ground.gateway_public(family), port}, token);
    if (holder.awaits(token, limits::knock_interval)) return true;
  }
  return false;
}

}  // namespace

Finding reserved_ports(Ground& ground, Family) {
  ground.forget();
  Trial trial;
  const auto& settings = ground.settings();
  std::set<Port> ports{Port(0),
                       Port(1),
                       Port(22),
                       Port(53),
                       Port(443),
                       Port(5351),
                       Port(65535),
                       settings.wireguard_port,
                       settings.api_port,
                       settings.snat.first(),
                       settings.snat.last(),
                       settings.ephemeral.first(),
                       settings.ephemeral.last()};
  for (const auto& services : {settings.input_tcp, settings.input_udp}) ports.insert(services.begin(), services.end());
  if (settings.pool.first().value() > 1) ports.insert(Port(static_cast<std::uint16_t>(settings.pool.first().value() - 1)));
  if (settings.pool.last().value() < 65535) ports.insert(Port(static_cast<std::uint16_t>(settings.pool.last().value() + 1)));
  for (const auto& range : settings.reserved) ports.insert({range.first(), range.last()});
  const auto reserved = [&](Port port) {
    return !settings.pool.contains(port) ||
           std::any_of(settings.reserved.begin(), settings.reserved.end(), [&](PortRange range) { return range.contains(port); });
  };
  std::erase_if(ports, [&](Port port) { return !reserved(port); });
  for (const Port port : ports) {
    trial.breach(ground.lease(ground.attacker, port).has_value(),
                 fmt::format("port {} was leased on an administrator's word", to_string(port)));
    if (port.is_zero()) continue;  // to a device it means: any
    trial.breach(granted(ask_for_port(ground, ground.attacker, port)),
                 fmt::format("port {} was leased to a device that asked", to_string(port)));
  }
  const auto good = ground.lease(ground.attacker);
  trial.control(good.has_value(), "a free port of the pool was not leased either");
  trial.control(granted(ask_for_port(ground, ground.attacker, std::nullopt)), "a device was not given a port that it may have");
  std::set<std::uint16_t> numbers;
  for (const Port port : ports) numbers.insert(port.value());
  return trial.end(fmt::format("{} ports outside the pool or reserved were asked for, by a device and by an administrator: all refused",
                               numbers.size()));
}

Finding early_reuse(Ground& ground, Family) {
  ground.forget();
  Trial trial;
  const auto port = ground.lease(ground.owner);
  if (!port) return not_possible(port.error());
  if (const Status ended = ground.end_lease(*port); !ended) return not_possible(ended.error());
  trial.breach(ground.lease(ground.attacker, *port).has_value(), "a port just released was leased to another account by an administrator");
  trial.breach(granted(ask_for_port(ground, ground.attacker, *port)), "a port just released was leased to a device of another account");
  trial.control(ground.lease(ground.owner, *port).has_value(), "the account that released the port did not get it back");
  const auto rest = std::chrono::duration_cast<std::chrono::seconds>(std::max(ground.settings().quarantine, lease::Policy::quarantine_min));
  return trial.end(
      fmt::format("another account asked for a port just released: refused, it rests for {} s; its own account got it back", rest.count()));
}

Finding public_side(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto& settings = ground.settings();
  const Address any = ground.any(family), gateway = ground.gateway_public(family), visitor = ground.visitor_address(family);
  // A program of the host that nobody named as a service, on all addresses.
  Port forgotten(8080);
  for (const Port taken : settings.input_tcp)
    if (taken == forgotten || settings.api_port == forgotten) forgotten = Port(8081);
  auto program = Tcp::listen(ground.gateway_machine, {any, forgotten});
  if (!program) return not_possible(program.error());
  trial.control(Tcp::connect(ground.gateway_machine, {any, Port()}, {gateway, forgotten}, limits::arrival).has_value(),
                "the program on the gateway itself does not answer");
  for (const Port port : {forgotten, settings.api_port})
    trial.breach(Tcp::connect(ground.visitor, {visitor, Port()}, {gateway, port}, limits::silence).has_value(),
                 fmt::format("TCP port {} of the gateway answers on the public side", to_string(port)));
  // NAT-PMP and PCP (RFC 6886, 6887), SSDP, DNS: questions that each would answer.
  auto asker = Udp::open(ground.visitor, {visitor, Port()});
  if (!asker) return not_possible(asker.error());
  const std::string pcp = std::string("\x02\x00\x00\x00", 4) + std::string(20, '\0');
  for (const auto& [port, question] : {std::pair{5351, std::string(2, '\0')},
                                       {5351, pcp},
                                       {1900, std::string("M-SEARCH * HTTP/1.1\r\nMAN: \"ssdp:discover\"\r\nST: ssdp:all\r\n\r\n")},
                                       {53, std::string("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01"
                                                        "a\x00\x00\x01\x00\x01",
                                                        19)}})
    asker->send({gateway, Port(static_cast<std::uint16_t>(port))}, question);
  trial.breach(asker->receive_any(limits::silence).has_value(), "a port-mapping or name service answers on the public side");
  // What is named as a service must answer, else the silence says nothing.
  if (!settings.input_tcp.empty()) {
    auto service = Tcp::listen(ground.gateway_machine, {any, settings.input_tcp.front()});
    trial.control(service && Tcp::connect(ground.visitor, {visitor, Port()}, {gateway, settings.input_tcp.front()}, limits::arrival),
                  fmt::format("the service on TCP port {} is not reached", to_string(settings.input_tcp.front())));
  }
  return trial.end(
      "the devices' API, port-mapping protocols and a program that nobody named did not answer the Internet; what is named did");
}

namespace {

std::vector<std::vector<std::string>> foreign_habits() {
  std::vector<std::vector<std::string>> habits{{"nft", "flush", "ruleset"}, {"nft", "delete", "table", "inet", "drpf"}};
  for (const char* program : {"iptables", "ip6tables"}) {
    if (system::find_program(program).empty()) continue;
    for (const auto& words :
         {std::vector<std::string>{"-F"}, {"-X"}, {"-t", "nat", "-F"}, {"-t", "mangle", "-F"}, {"-P", "FORWARD", "ACCEPT"}}) {
      std::vector<std::string> command{program};
      command.insert(command.end(), words.begin(), words.end());
      habits.push_back(command);
    }
  }
  return habits;
}

}  // namespace

Finding foreign_flush(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto port = ground.lease(ground.owner);
  if (!port) return not_possible(port.error());
  auto raw = RawSender::on(ground.visitor, family);
  auto device = RawSender::on(ground.attacker.machine, family);
  if (!raw || !device) return not_possible((raw ? device : raw).error());
  trial.control(visited(ground, family, ground.owner.watch, *port, limits::arrival), "the lease did not work before the flush");
  const Address visitor = ground.visitor_address(family), inside = ground.owner.inside(family), own = ground.attacker.inside(family);
  const std::string in = ground.token(), out = ground.token();
  std::size_t tried = 0;
  for (const auto& habit : foreign_habits()) {
    (void)ground.gateway_machine.run(habit);  // refused by the kernel where the table is owned
    // At once, before anybody can have repaired anything: to a device's tunnel address, and from a device with a false source, which only
    // a gateway without rules would let out untranslated.
    for (int i = 0; i < limits::packets_each; ++i, ++tried) {
      raw->send(inside, udp_packet({visitor, inside}, {Port(4300), *port}, in));
      device->send(visitor, udp_packet({own, visitor}, {ground.settings().wireguard_port, Port(4301)}, out));
    }
    trial.control(visited(ground, family, ground.owner.watch, *port, limits::reopening),
                  fmt::format("after `{}` the lease was not restored", fmt::join(habit, " ")));
  }
  std::this_thread::sleep_for(limits::settle);
  trial.control(ground.gateway_watch.saw(in), "the stranger's packets did not come to the gateway");
  trial.breach(ground.owner.watch.saw(in), "after a flush by another program a stranger's packet came to a device's tunnel address");
  for (const std::string& packet : ground.visitor_watch.with(out)) {
    const bool untranslated =
        packet.find(std::string(reinterpret_cast<const char*>(own.bytes().data()), own.bytes().size())) != std::string::npos;
    trial.breach(untranslated, "after a flush by another program a device's packet left for the Internet with its tunnel address");
  }
  return trial.end(fmt::format("another program flushed the rules in {} ways: nothing leaked, and the lease served again each time",
                               foreign_habits().size()));
}

namespace {

struct NamedFault {
  std::string message;
  std::string cure;
};

// What `drpf check` says about this, problem or not.
std::vector<NamedFault> findings_about(Ground& ground, std::string_view subject) {
  const lab::Admin admin(*ground.executable, ground.gateway_machine);
  auto told = admin.call({"check", "--json"});
  if (!told) told = admin.call({"check", "--json"}, terminal::exit_refused);
  boost::system::error_code error;
  const auto parsed = boost::json::parse(told ? *told : std::string("[]"), error);
  std::vector<NamedFault> found;
  if (error || !parsed.is_array()) return found;
  for (const auto& row : parsed.get_array()) {
    NamedFault fault;
    if (const auto* const message = row.is_object() ? row.get_object().if_contains("message") : nullptr; message && message->is_string())
      fault.message = message->get_string().c_str();
    if (const auto* const cure = row.is_object() ? row.get_object().if_contains("cure") : nullptr; cure && cure->is_string())
      fault.cure = cure->get_string().c_str();
    if (fault.message.find(subject) != std::string::npos) found.push_back(std::move(fault));
  }
  return found;
}

}  // namespace

// Another program's firewall that ends in a refusal while its policy accepts, as firewalld's does: devices and visitors are kept out, and
// the operator is to be told, with a cure that lets them in.
Finding foreign_firewall(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto port = ground.lease(ground.owner);
  if (!port) return not_possible(port.error());
  constexpr const char* neighbour = R"(table inet neighbour {
  chain input { type filter hook input priority 10; policy accept; ct state established accept; iifname lo accept; reject; }
  chain forward { type filter hook forward priority 10; policy accept; jump last; }
  chain last { reject; }
}
)";
  trial.control(visited(ground, family, ground.owner.watch, *port, limits::arrival), "the lease did not work before");
  if (const auto put = ground.gateway_machine.run({"nft", "-f", "-"}, neighbour); !put) return not_possible(put.error());
  const auto told = findings_about(ground, "table inet neighbour, ");
  trial.breach(told.size() != 2,
               "another program's firewall keeps devices and visitors out, and `drpf check` does not name both of its chains");
  for (const auto& finding : told)
    if (const auto at = finding.cure.find("nft insert rule inet neighbour"); at != std::string::npos)
      (void)ground.gateway_machine.run({"sh", "-c", finding.cure.substr(at)});
  trial.breach(!visited(ground, family, ground.owner.watch, *port, limits::reopening), "the cures of `drpf check` do not let visitors in");
  trial.breach(!findings_about(ground, "table inet neighbour, ").empty(), "`drpf check` names the firewall still, after its own cures");
  (void)ground.gateway_machine.run({"nft", "delete", "table", "inet", "neighbour"});
  return trial.end("a firewall beside the gateway kept devices and visitors out: its chains were named, and the cures let visitors in");
}

Finding dead_gateway(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto port = ground.lease(ground.owner);
  if (!port) return not_possible(port.error());
  trial.control(visited(ground, family, ground.owner.watch, *port, limits::arrival),
                "the lease did not work before the gateway was killed");
  ground.gateway.kill();
  // Nobody owns the table now, so this takes it away on every kernel.
  (void)ground.gateway_machine.run({"nft", "flush", "ruleset"});
  // An interface of the tunnel's name with the tunnel's network on it: what is routed there would be seen.
  if (const Status made = ground.stand_in_for_tunnel(); !made) return not_possible(made.error());
  auto raw = RawSender::on(ground.visitor, family);
  if (!raw) return not_possible(raw.error());
  const Address visitor = ground.visitor_address(family), inside = ground.owner.inside(family);
  const std::string token = ground.token();
  for (int i = 0; i < limits::packets_each; ++i) raw->send(inside, udp_packet({visitor, inside}, {Port(4300), *port}, token));
  trial.control(ground.gateway_watch.awaits(token, limits::arrival), "the packet did not come to the gateway");
  std::this_thread::sleep_for(limits::settle);
  trial.breach(ground.gateway_watch.sent(token),
               "with the gateway dead and the rules flushed, strangers' packets are routed to tunnel addresses");
  if (const Status again = ground.revive(); !again) return not_possible(again.error());
  trial.control(visited(ground, family, ground.owner.watch, *port, limits::reopening), "the lease did not serve again after the restart");
  return trial.end(
      "the gateway was killed and the rules flushed: no packet was routed to a tunnel address; after the restart the lease served again");
}

namespace {

constexpr Threat all_threats[] = {
    {"port-shadow-udp", "Port Shadow, UDP", shadow_udp},
    {"port-shadow-tcp", "Port Shadow, TCP", shadow_tcp},
    {"port-shadow-icmp", "Port Shadow, ping ids", shadow_echo},
    {"port-shadow-portless", "Port Shadow, protocols without ports", shadow_portless},
    {"stale-inbound-udp", "Old UDP conversation after the end of a lease", stale_inbound_udp},
    {"stale-inbound-tcp", "Old TCP connection after the end of a lease", stale_inbound_tcp},
    {"stale-outbound", "The old holder's own conversation after the end of a lease", stale_outbound},
    {"stale-move", "Old conversation after a port has moved", stale_after_move},
    {"mid-stream", "TCP picked up in the middle by a new holder", mid_stream},
    {"port-fail", "Port Fail: a device's real address shown beside the tunnel", port_fail},
    {"hairpin", "A device at another's lease through its own tunnel", hairpin},
    {"device-to-device", "From device to device", device_to_device},
    {"spoofed-device", "False source: another device's address", spoofed_device},
    {"spoofed-stranger", "False source: a stranger's address", spoofed_stranger},
    {"tunnel-address", "From outside to tunnel addresses", tunnel_address_from_outside},
    {"fragments", "Fragments", fragments},
    {"forged-icmp", "Forged ICMP errors and impossible TCP flags", forged_errors},
    {"reserved-ports", "Lease of a reserved port", reserved_ports, false},
    {"early-reuse", "A port again too early, for another account", early_reuse, false},
    {"public-side", "Doors on the public side", public_side},
    {"exhaust-out", "One device uses up the connections, outward", exhaust_outbound},
    {"exhaust-in", "One lease uses up the connections, inward", exhaust_inbound},
    {"foreign-flush", "Rules flushed by another program", foreign_flush},
    {"foreign-firewall", "Devices and visitors kept out by another program's firewall", foreign_firewall, false},
    {"stale-expiry", "Old conversation after a lease ran out with the gateway dead", stale_after_expiry},
    {"dead-gateway", "Gateway killed, then rules flushed", dead_gateway},
};

}  // namespace

std::span<const Threat> threats() { return all_threats; }

}  // namespace drpf::lab::selftest
