#include "firewall/our_packets.h"

#include <algorithm>
#include <utility>

namespace drpf::firewall {
namespace {

using Kind = OurPacket::Kind;
using State = Packet::State;

// Where the kernel translates addresses (NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC), whatever the priorities of the chains that say how.
constexpr int destinations_translated = -100;
constexpr int sources_translated = 100;

class PacketsOfOneFamily {
 public:
  PacketsOfOneFamily(const ListedChain& chain, const RulesetView& view, const Prefix& tunnel, std::vector<OurPacket>& out)
      : chain_(chain), view_(view), tunnel_(tunnel), out_(out) {}

  void add_all() {
    const auto& hook = chain_.hook;
    if (hook == "prerouting" || hook == "ingress" || hook == "input") add_requests();
    if (hook == "output" || hook == "postrouting" || hook == "egress") add_answers_to_requests();
    std::vector<Party> hosts;
    for (const auto& address : view_.public_addresses)
      if (address.family() == tunnel_.family()) hosts.push_back({Party::Who::one_of, Prefix::host(address)});
    if (view_.public_addresses.empty()) hosts.push_back({Party::Who::this_host});
    for (const auto& interface : view_.public_interfaces)
      for (const auto& host : hosts) add_by(interface, host);
  }

 private:
  Packet packet(State state, bool is_reply, const Party& source, const Party& destination) const {
    Packet made;
    made.family = tunnel_.family();
    made.state = state;
    made.is_reply = is_reply;
    made.source = source;
    made.destination = destination;
    made.redirects_decide = false;
    return made;
  }

  void add(Kind kind, Packet made, const std::string& from, const std::string& to) {
    if (!chain_.device.empty() && chain_.device != (chain_.hook == "egress" ? to : from)) return;
    if (chain_.type == "nat" && made.state != State::fresh) return;  // asked about the first packet of a connection only
    const bool comes_in = chain_.hook == "prerouting" || chain_.hook == "ingress" || chain_.hook == "input";
    const bool goes_out = chain_.hook == "output" || chain_.hook == "postrouting" || chain_.hook == "egress";
    if (!goes_out) made.from_interface = from;
    if (!comes_in) made.to_interface = to;
    out_.push_back({kind, std::move(made)});
  }

  Party inside() const { return {Party::Who::one_of, tunnel_}; }
  Party gateway() const { return {Party::Who::one_of, Prefix::host(tunnel_.nth(1))}; }

  void add_requests() {
    const auto request = [&](Protocol protocol, Port port, const Party& to) {
      auto made = packet(State::fresh, false, inside(), to);
      made.protocol = protocol;
      made.destination_port = PortRange(port);
      add(Kind::request, std::move(made), view_.tunnel_interface, {});
    };
    request(Protocol::udp, view_.port_mapping_port, gateway());
    request(Protocol::tcp, view_.api_port, gateway());
  }

  void add_answers_to_requests() {
    const auto answer = [&](Protocol protocol, Port port) {
      auto made = packet(State::established, true, gateway(), inside());
      made.protocol = protocol;
      made.source_port = PortRange(port);
      made.is_for_this_host = false;
      add(Kind::answer_to_request, std::move(made), {}, view_.tunnel_interface);
    };
    answer(Protocol::udp, view_.port_mapping_port);
    answer(Protocol::tcp, view_.api_port);
  }

  void add_by(const std::string& interface, const Party& host) {
    const auto& hook = chain_.hook;
    const auto& tunnel = view_.tunnel_interface;
    const bool before_routing = hook == "prerouting" || hook == "ingress";
    if (before_routing || hook == "input") {
      auto made = packet(State::untracked, false, {}, host);
      made.protocol = Protocol::udp;
      made.destination_port = PortRange(view_.wireguard_port);
      add(Kind::handshake, std::move(made), interface, {});
    }
    if (hook == "output" || hook == "postrouting" || hook == "egress") {
      auto made = packet(State::untracked, false, host, {});
      made.protocol = Protocol::udp;
      made.source_port = PortRange(view_.wireguard_port);
      made.is_for_this_host = false;
      add(Kind::tunnel_out, std::move(made), {}, interface);
    }
    if (hook == "input" || hook == "output") return;
    const bool to_public = before_routing && (hook == "ingress" || chain_.priority <= destinations_translated);
    const bool from_public = hook == "egress" || (hook == "postrouting" && chain_.priority > sources_translated);
    add_forwarded(Kind::visit, to_public, from_public, interface, tunnel, host);
    add_forwarded(Kind::answer_to_device, to_public, from_public, interface, tunnel, host);
    add_forwarded(Kind::from_device, to_public, from_public, tunnel, interface, host);
    add_forwarded(Kind::answer_to_visit, to_public, from_public, tunnel, interface, host);
  }

  // `to_public`, `from_public`: do packets still have, or have already, the gateway's own address, or the device's?
  void add_forwarded(Kind kind, bool to_public, bool from_public, const std::string& from, const std::string& to, const Party& host) {
    const bool inward = kind == Kind::visit || kind == Kind::answer_to_device;
    const bool is_answer = kind == Kind::answer_to_visit || kind == Kind::answer_to_device;
    const bool of_a_visit = kind == Kind::visit || kind == Kind::answer_to_visit;
    auto made = packet(is_answer ? State::established : State::fresh, is_answer, {}, {});
    const auto public_ports = of_a_visit ? view_.pool : view_.snat;
    if (inward) {
      made.destination = to_public ? host : inside();
      if (to_public) made.destination_port = public_ports;
    } else {
      made.source = from_public ? host : inside();
      if (from_public) made.source_port = public_ports;
    }
    made.is_for_this_host = inward && to_public;
    made.is_redirected = of_a_visit && !(inward && to_public);
    add(kind, std::move(made), from, to);
  }

  const ListedChain& chain_;
  const RulesetView& view_;
  const Prefix& tunnel_;
  std::vector<OurPacket>& out_;
};

}  // namespace

std::string_view name_of(OurPacket::Kind kind) {
  switch (kind) {
    case Kind::handshake:
      return "handshakes of devices, and their tunnels";
    case Kind::tunnel_out:
      return "the tunnel's packets to devices";
    case Kind::visit:
      return "visits to leases";
    case Kind::answer_to_visit:
      return "answers to visitors";
    case Kind::from_device:
      return "what devices send";
    case Kind::answer_to_device:
      return "what devices are answered";
    case Kind::request:
      return "devices' requests to the gateway";
    case Kind::answer_to_request:
      return "the gateway's answers to devices";
  }
  return {};
}

std::vector<OurPacket> packets_at(const ListedChain& chain, const RulesetView& view) {
  std::vector<OurPacket> packets;
  for (const auto& prefix : view.tunnel_prefixes)
    if (chain.family == "inet" || chain.family == "netdev" || chain.family == (prefix.family() == Family::v4 ? "ip" : "ip6"))
      PacketsOfOneFamily(chain, view, prefix, packets).add_all();
  return packets;
}

}  // namespace drpf::firewall
