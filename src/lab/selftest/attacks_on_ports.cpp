// Port Shadow (CVE-2021-3773) in its variants, and the exhaustion of ports and of the connection table.
#include <algorithm>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "lab/selftest/attacks.h"
#include "lab/selftest/limits.h"
#include "lab/selftest/packets.h"
#include "lab/stage/wording.h"

namespace drpf::lab::selftest {
namespace {

// The ports of the gateway that an attacker would like to have: services, edges of the ranges, another device's lease.
std::vector<Port> wanted_ports(const Ground& ground, Port others_lease) {
  const auto& settings = ground.settings();
  std::set<Port> ports{settings.wireguard_port,    settings.api_port,         settings.pool.first(), settings.pool.last(),
                       settings.ephemeral.first(), settings.ephemeral.last(), others_lease};
  for (const auto& services : {settings.input_tcp, settings.input_udp}) ports.insert(services.begin(), services.end());
  for (const int beside : {settings.snat.first().value() - 1, settings.snat.last().value() + 1})
    if (beside > 0 && beside <= 65535) ports.insert(Port(static_cast<std::uint16_t>(beside)));
  ports.erase(Port());
  return {ports.begin(), ports.end()};
}

std::string say(const std::vector<Port>& ports) {
  std::set<std::uint16_t> numbers;
  for (const Port port : ports) numbers.insert(port.value());
  return lab::say_ports(numbers);
}

// One port tried: by what token the reply to the taken port is known, and that to the port the sender really had.
struct Shadow {
  Port port;
  std::string reply_to_taken;
  std::string reply_to_sender;
};

void judge(Ground& ground, const std::vector<Shadow>& shadows, Port lease, Trial& trial) {
  for (const Shadow& shadow : shadows)
    trial.control(ground.attacker.watch.awaits(shadow.reply_to_sender, limits::arrival),
                  fmt::format("the device got no reply to what it sent from port {}", to_string(shadow.port)));
  std::this_thread::sleep_for(limits::settle);
  for (const Shadow& shadow : shadows) {
    trial.breach(ground.attacker.watch.saw(shadow.reply_to_taken),
                 fmt::format("a device that sends from port {} receives what is sent to port {} of the gateway", to_string(shadow.port),
                             to_string(shadow.port)));
    if (shadow.port == lease)
      trial.control(ground.owner.watch.awaits(shadow.reply_to_taken, limits::arrival), "the holder of the lease was not reached");
    else
      trial.control(ground.gateway_watch.awaits(shadow.reply_to_taken, limits::arrival), "the reply did not come to the gateway");
  }
}

void judge_source(const Ground& ground, Family family, Port wanted, const Endpoint& seen, Trial& trial) {
  trial.control(seen.address == ground.gateway_public(family), fmt::format("the sender was seen as {}", to_string(seen)));
  trial.breach(!ground.settings().snat.contains(seen.port),
               fmt::format("what a device sends from port {} leaves the gateway from port {}, outside {}", to_string(wanted),
                           to_string(seen.port), to_string(ground.settings().snat)));
}

}  // namespace

Finding shadow_udp(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto lease = ground.lease(ground.owner);
  if (!lease) return not_possible(lease.error());
  const auto ports = wanted_ports(ground, *lease);
  std::vector<Shadow> shadows;
  std::vector<Udp> kept;
  const Address visitor = ground.visitor_address(family);
  for (const Port port : ports) {
    auto sender = Udp::open(ground.attacker.machine, {ground.attacker.inside(family), port});
    auto peer = Udp::open(ground.visitor, {visitor, Port()});
    if (!sender || !peer) return not_possible((sender ? peer : sender).error());
    const std::string token = ground.token();
    sender->send({visitor, peer->port()}, token);
    const auto seen = peer->receive(token, limits::arrival);
    trial.control(seen.has_value(), fmt::format("what the device sent from port {} did not come to the Internet", to_string(port)));
    if (!seen) continue;
    judge_source(ground, family, port, seen->from, trial);
    Shadow shadow{port, ground.token(), ground.token()};
    peer->send({ground.gateway_public(family), port}, shadow.reply_to_taken);
    peer->send(seen->from, shadow.reply_to_sender);
    shadows.push_back(shadow);
    kept.push_back(std::move(*sender));
    kept.push_back(std::move(*peer));
  }
  judge(ground, shadows, *lease, trial);
  return trial.end(
      fmt::format("a device sent from the ports {}; replies to these ports came to the gateway, and for {} to the device that leases it; 0 "
                  "of {} to the sender",
                  say(ports), to_string(*lease), shadows.size()));
}

Finding shadow_tcp(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const auto lease = ground.lease(ground.owner);
  if (!lease) return not_possible(lease.error());
  const auto ports = wanted_ports(ground, *lease);
  const Address visitor = ground.visitor_address(family);
  const Address gateway = ground.gateway_public(family);
  auto raw = RawSender::on(ground.visitor, family);
  if (!raw) return not_possible(raw.error());
  std::vector<Shadow> shadows;
  std::vector<Tcp> kept;
  for (const Port port : ports) {
    auto listener = Tcp::listen(ground.visitor, {visitor, Port()});
    if (!listener) return not_possible(listener.error());
    auto sender =
        Tcp::connect(ground.attacker.machine, {ground.attacker.inside(family), port}, {visitor, listener->port()}, limits::arrival);
    auto peer = listener->accept(sender ? limits::arrival : Duration::zero());
    trial.control(sender && peer, fmt::format("the device could not connect from port {}", to_string(port)));
    if (!sender || !peer) continue;
    judge_source(ground, family, port, peer->peer(), trial);
    Shadow shadow{port, ground.token(), ground.token()};
    const Ports shadowed{listener->port(), port};
    // Into the middle of the conversation that the device would have stolen, and as a new one.
    for (const std::uint8_t flags : {static_cast<std::uint8_t>(tcp_flag::psh | tcp_flag::ack), tcp_flag::syn})
      raw->send(gateway, tcp_packet({visitor, gateway}, shadowed, flags, 1000, shadow.reply_to_taken));
    peer->send(shadow.reply_to_sender);
    shadows.push_back(shadow);
    kept.push_back(std::move(*sender));
    kept.push_back(std::move(*peer));
  }
  judge(ground, shadows, *lease, trial);
  return trial.end(
      fmt::format("a device connected from {} ports of the gateway and of another's lease ({}); what was sent to them did not come to it",
                  ports.size(), say(ports)));
}

Finding shadow_echo(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  const Address visitor = ground.visitor_address(family);
  const Address inside = ground.attacker.inside(family);
  const Address gateway = ground.gateway_public(family);
  auto device = RawSender::on(ground.attacker.machine, family);
  auto host = RawSender::on(ground.gateway_machine, family);
  if (!device || !host) return not_possible((device ? host : device).error());
  // The same id from the device and from the gateway, in both orders.
  for (const bool device_first : {true, false}) {
    const auto id = static_cast<std::uint16_t>(0x4400 + (family == Family::v6 ? 2 : 0) + (device_first ? 0 : 1));
    const std::string of_device = ground.token(), of_gateway = ground.token();
    for (const bool now_device : {device_first, !device_first}) {
      if (now_device) device->send(visitor, echo_request({inside, visitor}, id, of_device));
      if (!now_device) host->send(visitor, echo_request({gateway, visitor}, id, of_gateway));
      Watch& asker = now_device ? ground.attacker.watch : ground.gateway_watch;
      trial.control(asker.awaits(now_device ? of_device : of_gateway, limits::arrival),
                    now_device ? "the device's ping was not answered" : "the gateway's own ping was not answered");
    }
    std::this_thread::sleep_for(limits::settle);
    trial.breach(ground.attacker.watch.saw(of_gateway),
                 fmt::format("the answer to the gateway's own ping with id {} came to a device", id));
  }
  return trial.end("a device and the gateway pinged one host with the same id; each got its own answer");
}

Finding shadow_portless(Ground& ground, Family family) {
  ground.forget();
  Trial trial;
  using namespace protocol_number;
  constexpr std::uint8_t numbers[] = {gre, esp, 51, sctp, udp_lite, dccp};
  const Address visitor = ground.visitor_address(family);
  const Address inside = ground.attacker.inside(family);
  const Address gateway = ground.gateway_public(family);
  auto device = RawSender::on(ground.attacker.machine, family);
  auto peer = RawSender::on(ground.visitor, family);
  if (!device || !peer) return not_possible((device ? peer : device).error());
  struct Sent {
    std::uint8_t number;
    std::string out, back;
  };
  std::vector<Sent> all;
  const std::string header(8, '\0');  // GRE version 0 without options; to the others some ports and nothing more
  for (const std::uint8_t number : numbers) {
    all.push_back({number, ground.token(), ground.token()});
    device->send(visitor, ip_packet({inside, visitor}, number, header + all.back().out));
  }
  // On the same way, sent later: when this has come, those would have come.
  const std::string honest = ground.token();
  device->send(visitor, echo_request({inside, visitor}, 0x4500, honest));
  trial.control(ground.attacker.watch.awaits(honest, limits::arrival), "the device's ping was not answered");
  for (const Sent& sent : all) peer->send(gateway, ip_packet({visitor, gateway}, sent.number, header + sent.back));
  std::this_thread::sleep_for(limits::settle);
  for (const Sent& sent : all) {
    trial.control(ground.attacker.watch.sent(sent.out), fmt::format("protocol {} did not leave the device", sent.number));
    trial.control(ground.gateway_watch.awaits(sent.back, limits::arrival),
                  fmt::format("protocol {} did not come to the gateway", sent.number));
    trial.breach(ground.visitor_watch.saw(sent.out),
                 fmt::format("protocol {} of a device left the gateway under its address", sent.number));
    trial.breach(ground.attacker.watch.saw(sent.back), fmt::format("protocol {} for the gateway came to a device", sent.number));
  }
  return trial.end("a device sent GRE, ESP, AH, SCTP, UDP-Lite and DCCP: none left, and none of the gateway's came to it");
}

namespace {

// Opens more flows than the cap and counts those that come through. Where there is an answering end, it keeps them: a visit that nobody
// answers is soon forgotten.
Finding exhaust(Ground& ground, const RawSender& raw, const Addresses& addresses, Port to, Watch& arrival_side, const std::string& what,
                std::uint32_t cap, const Udp* answering = nullptr) {
  Trial trial;
  const std::string token = ground.token();
  const std::uint32_t attempts = cap + limits::flows_over;
  constexpr std::uint16_t first_source = 1024;
  constexpr std::uint32_t sources = 60'000;
  std::size_t admitted = 0;
  for (std::uint32_t sent = 0; sent < attempts;) {
    for (std::size_t i = 0; i < limits::flows_per_round && sent < attempts; ++i, ++sent)
      raw.send(addresses.target, udp_packet(addresses, {Port(static_cast<std::uint16_t>(first_source + sent % sources)), to}, token));
    // Where nothing more comes, the cap is reached: then there is no need to wait for each round.
    const std::size_t expected = std::min<std::size_t>(sent, cap);
    for (int patience = 0; admitted < expected && patience < 20; ++patience) {
      while (const auto visit = answering != nullptr ? answering->receive_any(Duration::zero()) : std::nullopt)
        answering->send(visit->from, "kept");
      const std::size_t now = arrival_side.count(token);
      arrival_side.forget();
      admitted += now;
      if (now == 0 && sent > cap / 2 + limits::flows_per_round) patience += 10;
      if (admitted < expected) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  std::this_thread::sleep_for(limits::settle);
  admitted += arrival_side.count(token);
  trial.control(admitted >= cap / 2,
                fmt::format("only {} of {} flows came through, so the cap of {} was not reached", admitted, attempts, cap));
  trial.breach(admitted > cap, fmt::format("{} flows came through where the cap is {}", admitted, cap));
  Finding finding = trial.end(fmt::format("{} flows tried {}: {} came through, the cap is {}", attempts, what, admitted, cap));
  return finding;
}

}  // namespace

Finding exhaust_outbound(Ground& ground, Family family) {
  ground.forget();
  auto raw = RawSender::on(ground.attacker.machine, family);
  auto sink = Udp::open(ground.visitor, {ground.visitor_address(family), Port()});
  if (!raw || !sink) return not_possible((raw ? sink.error() : raw.error()));
  Finding finding = exhaust(ground, *raw, {ground.attacker.inside(family), ground.visitor_address(family)}, sink->port(),
                            ground.visitor_watch, "out of one device", ground.settings().limits.connections_per_device);
  if (finding.verdict != Verdict::closed) return finding;
  // The others do not feel it.
  Trial trial;
  auto other = Udp::open(ground.owner.machine, {ground.owner.inside(family), Port()});
  if (!other) return not_possible(other.error());
  const std::string token = ground.token();
  other->send({ground.visitor_address(family), sink->port()}, token);
  trial.control(ground.visitor_watch.awaits(token, limits::arrival), "another device could not send meanwhile");
  const Finding beside = trial.end(finding.detail + "; another device sent undisturbed");
  return beside;
}

Finding exhaust_inbound(Ground& ground, Family family) {
  ground.forget();
  const auto lease = ground.lease(ground.attacker);
  if (!lease) return not_possible(lease.error());
  auto raw = RawSender::on(ground.visitor, family);
  auto server = Udp::open(ground.attacker.machine, {ground.attacker.inside(family), *lease});
  if (!raw || !server) return not_possible((raw ? server.error() : raw.error()));
  // Of one network's visitors half as many as of all.
  return exhaust(ground, *raw, {ground.visitor_address(family), ground.gateway_public(family)}, *lease, ground.attacker.watch,
                 "into one device", ground.settings().limits.connections_per_device / 2, &*server);
}

}  // namespace drpf::lab::selftest
