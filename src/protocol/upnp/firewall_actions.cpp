// WANIPv6FirewallControl:1. A pinhole is a lease like any other, on a public port of the same number as the internal one: the program tells
// its peers no other.
#include "protocol/upnp/action_call.h"

namespace drpf::protocol::upnp {
namespace {

using port_mapping::Ending;
using port_mapping::Mapped;
using port_mapping::Wish;

constexpr std::uint32_t lease_time_max = 86'400;       // of the service's definition
constexpr std::uint32_t any_protocol = 65'535;         // its wildcard
constexpr std::uint32_t tcp_idle_timeout_s = 432'000;  // of Linux for connections that stand (nf_conntrack_tcp_timeout_established)
constexpr std::uint32_t udp_idle_timeout_s = 120;      // and nf_conntrack_udp_timeout_stream

// A number that says itself what it stands for, so that nothing needs to be remembered. Two ports of one device that are 32768 apart
// would share it: the second is refused.
std::uint16_t id_of(Port port, Protocol protocol) {
  return static_cast<std::uint16_t>(std::uint32_t{port.value()} * 2 + (protocol == Protocol::udp ? 1 : 0));
}

bool is_pinhole(const Mapped& mapped) {
  return mapped.door == port_mapping::Door::upnp && mapped.external_port == mapped.internal_port && mapped.external_v6.has_value();
}

std::optional<Mapped> find(const ActionCall& call, std::uint16_t id) {
  for (auto& mapped : call.mappings.mappings_of(call.source))
    if (is_pinhole(mapped) && id_of(mapped.external_port, mapped.protocol) == id) return std::move(mapped);
  return std::nullopt;
}

struct Ends {
  Protocol protocol{};
  Port internal_port;
};

// The five arguments that name a flow. Only flows from everywhere to the asker itself are possible.
std::variant<Ends, Fault> read_ends(const ActionCall& call, bool remote_must_be_wildcard) {
  const auto remote_port = call.port("RemotePort");
  const auto internal_port = call.port("InternalPort");
  const auto protocol = call.number("Protocol", 65'535);
  const auto* inside = call.argument("InternalClient");
  if (!call.argument("RemoteHost") || !remote_port || !internal_port || !protocol || !inside) return Fault::invalid_arguments;
  const auto address = parse_address(*inside);
  if (!address) return inside->empty() ? Fault::source_wildcard_not_permitted : Fault::invalid_arguments;
  if (!address->is_v6() || !call.is_own(*address)) return Fault::not_authorized;
  if (remote_must_be_wildcard && (!call.is_empty("RemoteHost") || !remote_port->is_zero())) return Fault::not_authorized;
  if (*protocol == any_protocol) return Fault::protocol_wildcard;
  if (*protocol != static_cast<std::uint32_t>(Protocol::tcp) && *protocol != static_cast<std::uint32_t>(Protocol::udp))
    return Fault::protocol_not_supported;
  if (internal_port->is_zero()) return Fault::internal_port_wildcard;
  return Ends{static_cast<Protocol>(*protocol), *internal_port};
}

std::optional<Duration> lease_time(const ActionCall& call, std::string_view name) {
  const auto seconds = call.number(name, lease_time_max);
  return seconds && *seconds > 0 ? std::optional<Duration>(std::chrono::seconds(*seconds)) : std::nullopt;
}

Wish pinhole_wish(const ActionCall& call, Protocol protocol, Port port, Duration lifetime) {
  Wish wish;
  wish.client = call.source;
  wish.protocol = protocol;
  wish.internal_port = port;
  wish.suggested_port = port;
  wish.only_suggested = true;
  wish.lifetime = lifetime;
  wish.door = port_mapping::Door::upnp;
  wish.description = "pinhole";
  return wish;
}

void map(const ActionCall& call, const Wish& wish, std::string answer, ActionDone done) {
  call.mappings.map(wish, [answer = std::move(answer), done = std::move(done)](Result<std::vector<Mapped>> result) {
    if (!result) return done(fault_of(result.error(), Fault::pinhole_space_exhausted, Fault::not_authorized));
    done(answer);
  });
}

void add_pinhole(const ActionCall& call, ActionDone done) {
  const auto read = read_ends(call, true);
  if (const auto* fault = std::get_if<Fault>(&read)) return done(*fault);
  const auto& ends = std::get<Ends>(read);
  const auto lifetime = lease_time(call, "LeaseTime");
  if (!lifetime) return done(Fault::invalid_arguments);
  if (!call.client.external_v6) return done(Fault::pinhole_not_allowed);
  const auto id = id_of(ends.internal_port, ends.protocol);
  if (const auto other = find(call, id); other && other->external_port != ends.internal_port) return done(Fault::pinhole_space_exhausted);
  map(call, pinhole_wish(call, ends.protocol, ends.internal_port, *lifetime), write_answer(call.call, {{"UniqueID", std::to_string(id)}}),
      std::move(done));
}

void end(const ActionCall& call, const Mapped& pinhole, ActionDone done) {
  Ending ending;
  ending.client = call.source;
  ending.protocol = pinhole.protocol;
  ending.external_ports = PortRange(pinhole.external_port);
  ending.door = port_mapping::Door::upnp;
  call.mappings.end(ending, [answer = write_answer(call.call, {}), done = std::move(done)](Result<std::size_t> ended) {
    if (!ended) return done(fault_of(ended.error(), Fault::action_failed, Fault::not_authorized));
    if (*ended == 0) return done(Fault::no_such_pinhole);
    done(answer);
  });
}

}  // namespace

void perform_on_firewall(const ActionCall& call, ActionDone done) {
  const auto& action = call.call.action;
  if (action == "GetFirewallStatus")
    return done(call.answer({{"FirewallEnabled", "1"}, {"InboundPinholeAllowed", call.client.external_v6 ? "1" : "0"}}));
  if (action == "AddPinhole") return add_pinhole(call, std::move(done));
  if (action == "GetOutboundPinholeTimeout") {
    const auto read = read_ends(call, false);
    if (const auto* fault = std::get_if<Fault>(&read)) return done(*fault);
    const auto timeout = std::get<Ends>(read).protocol == Protocol::tcp ? tcp_idle_timeout_s : udp_idle_timeout_s;
    return done(call.answer({{"OutboundPinholeTimeout", std::to_string(timeout)}}));
  }
  const auto id = call.number("UniqueID", 65'535);
  if (!id) return done(Fault::invalid_arguments);
  const auto pinhole = find(call, static_cast<std::uint16_t>(*id));
  if (!pinhole) return done(Fault::no_such_pinhole);
  if (action == "UpdatePinhole") {
    const auto lifetime = lease_time(call, "NewLeaseTime");
    if (!lifetime) return done(Fault::invalid_arguments);
    return map(call, pinhole_wish(call, pinhole->protocol, pinhole->internal_port, *lifetime), write_answer(call.call, {}),
               std::move(done));
  }
  if (action == "DeletePinhole") return end(call, *pinhole, std::move(done));
  // What is answered for is in the kernel; packets are not counted for each lease.
  if (action == "CheckPinholeWorking") return done(call.answer({{"IsWorking", "1"}}));
  done(Fault::not_implemented);
}

}  // namespace drpf::protocol::upnp
