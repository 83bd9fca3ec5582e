#include "firewall/gateway_ruleset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/interface_name.h"
#include "firewall/closed_networks.h"
#include "firewall/gateway_sets.h"
#include "firewall/port_plan.h"

namespace drpf::firewall {
namespace {

struct Chain {
  std::string_view name;
  std::string_view hook;
};

// early is after conntrack (-200) and before everything else of ours; nat hooks see only the first packet of a flow. There the first chain
// that translates decides, so ours stand one place before the usual one: Docker's and others' masquerade would re-open Port Shadow.
constexpr std::array chains{
    Chain{"untracked", "type filter hook prerouting priority raw ; policy accept ;"},
    Chain{"untracked_out", "type filter hook output priority raw ; policy accept ;"},
    Chain{"early", "type filter hook prerouting priority -160 ; policy accept ;"},
    Chain{"marking", "type filter hook prerouting priority mangle ; policy accept ;"},
    Chain{"inbound", "type nat hook prerouting priority dstnat - 1 ; policy accept ;"},
    Chain{"input", "type filter hook input priority filter ; policy drop ;"},
    Chain{"rewriting", "type filter hook forward priority mangle ; policy accept ;"},
    Chain{"forward", "type filter hook forward priority filter ; policy drop ;"},
    Chain{"output", "type filter hook output priority filter ; policy accept ;"},
    Chain{"outbound", "type nat hook postrouting priority srcnat - 1 ; policy accept ;"},
};

constexpr std::uint16_t ssdp_port = 1900;
constexpr std::string_view upnp_group4 = "239.255.255.250";
constexpr std::string_view upnp_group6 = "ff05::c";

// Nobody on the Internet has these. Private ones are not among them: neighbours may visit.
constexpr std::string_view nobody4 = "{ 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3 }";
constexpr std::string_view nobody6 = "{ ::/96, ::ffff:0:0/96, fec0::/10, ff00::/8 }";

std::string quoted(const std::vector<std::string>& names) { return fmt::format("{{ \"{}\" }}", fmt::join(names, "\", \"")); }

std::string port_set(const std::vector<PortRange>& ranges) {
  std::vector<std::string> texts;
  for (const auto range : ranges) texts.push_back(to_string(range));
  return fmt::format("{{ {} }}", fmt::join(texts, ", "));
}

std::string host_set(const std::vector<lease::PublicHost>& hosts, Family family) {
  std::vector<std::string> texts;
  for (const auto& host : hosts)
    if (const auto& address = family == Family::v4 ? host.v4 : host.v6) texts.push_back(to_string(*address));
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts.empty() ? std::string() : fmt::format("{{ {} }}", fmt::join(texts, ", "));
}

std::string network_set(const std::vector<Prefix>& networks, Family family) {
  std::vector<std::string> texts;
  for (const auto& one : outermost(networks))
    if (one.family() == family) texts.push_back(to_string(one));
  return texts.empty() ? std::string() : fmt::format("{{ {} }}", fmt::join(texts, ", "));
}

// The two families write the same rules with other words.
struct Words {
  std::string_view suffix;        // of rule and set names
  std::string_view ip;            // "ip daddr", "dnat ip to"
  std::string_view nfproto;       // "meta nfproto"
  std::string tunnel;             // the tunnel prefix; empty = this family is not carried
  std::string hosts;              // "{ addresses }"; empty = none
  std::string probe;              // the address that the gateway's own visits come from; empty = none
  std::string_view network_mask;  // whose visits count together
  std::string endpoint_key;       // what is looked up in the endpoint set
  std::string_view icmp;          // "icmp type"
  std::string_view errors;        // what a connection's packets may be answered with by those on their way
};

// What the kernel looks for a packet's ports behind: hop-by-hop options, routing, fragment, authentication, destination options. Fragments
// have been put together before any rule sees them.
constexpr std::string_view extension_headers = "{ 0, 43, 44, 51, 60 }";

// Of a device's connections from outside.
constexpr std::uint64_t visitor_share_percent = 50;
constexpr std::uint64_t lease_share_percent = 75;
// Of the ports that connections to one address can leave from, one account's part.
constexpr std::uint32_t accounts_to_one_address = 8;

constexpr std::uint32_t request_bytes = 100;  // of PCP, with its headers; NAT-PMP's are smaller

class Builder {
 public:
  explicit Builder(const GatewayRuleset& ruleset) : ruleset_(ruleset), public_(quoted(ruleset.public_interfaces)) {
    const auto& tunnels = ruleset.tunnel_interfaces;
    tunnel_ = tunnels.size() == 1 ? fmt::format("\"{}\"", tunnels.front()) : quoted(tunnels);
    auto inside = tunnels;
    inside.emplace_back("lo");
    inside_ = quoted(inside);
    auto visitors = ruleset.public_interfaces;
    if (ruleset.probe) visitors.push_back(ruleset.probe->interface);
    visitors_ = quoted(visitors);
    auto everywhere = visitors;
    everywhere.insert(everywhere.end(), tunnels.begin(), tunnels.end());
    everywhere_ = quoted(everywhere);
    std::vector<PortRange> ports{PortRange(ruleset.wireguard_port)};
    for (const auto port : ruleset.more_tunnel_ports_udp) ports.emplace_back(port);
    tunnel_ports_ = ports.size() == 1 ? to_string(ruleset.wireguard_port) : port_set(ports);
    families_ = {Words{.suffix = "4",
                       .ip = "ip",
                       .nfproto = "ipv4",
                       .tunnel = ruleset.tunnel_v4 ? to_string(*ruleset.tunnel_v4) : std::string(),
                       .hosts = host_set(ruleset.hosts, Family::v4),
                       .probe = ruleset.probe ? to_string(ruleset.probe->v4) : std::string(),
                       .network_mask = "255.255.255.0",
                       .endpoint_key = "ip saddr",
                       .icmp = "icmp",
                       .errors = "icmp type { destination-unreachable, time-exceeded, parameter-problem }"},
                 Words{.suffix = "6",
                       .ip = "ip6",
                       .nfproto = "ipv6",
                       .tunnel = ruleset.tunnel_v6 ? to_string(*ruleset.tunnel_v6) : std::string(),
                       .hosts = host_set(ruleset.hosts, Family::v6),
                       .probe = ruleset.probe ? to_string(ruleset.probe->v6) : std::string(),
                       .network_mask = "ffff:ffff:ffff:ffff::",
                       .endpoint_key = "ip6 saddr & ffff:ffff:ffff:ffff::",
                       .icmp = "icmpv6",
                       .errors = "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }"}};
  }

  std::vector<Rule> build() {
    untracked();
    early();
    marking();
    inbound();
    input();
    rewriting();
    forward();
    output();
    outbound();
    return std::move(rules_);
  }

 private:
  void add(std::string_view chain, std::string name, std::string text) {
    rules_.push_back({std::string(chain), std::move(name), std::move(text)});
  }

  // Anybody can send to the tunnel's port in anybody's name, and every name would take a place in the table of connections. No rule of ours
  // asks to which conversation the tunnel's own packets belong. Routers' errors about them, which path MTU discovery needs, would be about
  // nothing then: they are let through by what they quote, a UDP packet from the tunnel's port to a device that is here.
  void untracked() {
    const auto& port = tunnel_ports_;
    add("untracked", "wireguard_untracked", fmt::format("iifname {} udp dport {} notrack", public_, port));
    add("untracked", "wireguard_errors4",
        fmt::format("iifname {} icmp type destination-unreachable icmp code frag-needed @th,136,8 17 @th,224,16 {} notrack", public_,
                    port));
    add("untracked", "wireguard_errors6",
        fmt::format("iifname {} icmpv6 type packet-too-big @th,112,8 17 @th,384,16 {} notrack", public_, port));
    add("untracked_out", "wireguard_answers_untracked", fmt::format("oifname {} udp sport {} notrack", public_, port));
  }

  // What is refused before anything else looks at it.
  void early() {
    // Routers write their addresses into a packet's options, and answers and errors carry them back; others ask a host which addresses it
    // has. Nothing on the Internet needs them. What is sent to all of a link may have them: routers ask so who listens to which group.
    add("early", "options4", fmt::format("iifname {} ip hdrlength != 5 counter drop", everywhere_));
    add("early", "options6", fmt::format("iifname {} ip6 daddr != ff02::/16 ip6 nexthdr {} counter drop", everywhere_, extension_headers));
    for (const auto& family : families_) {
      if (family.tunnel.empty()) {
        add("early", fmt::format("tunnel_without_ipv{}", family.suffix),
            fmt::format("iifname {} meta nfproto {} counter drop", tunnel_, family.nfproto));
        continue;
      }
      add("early", fmt::format("tunnel_source{}", family.suffix),
          fmt::format("iifname {} {} saddr . iifname != @here{} counter drop", tunnel_, family.ip, family.suffix));
      // On every interface that is not the tunnel, not only on the public ones; rp_filter would not do it for IPv6.
      add("early", fmt::format("tunnel_address_from_outside{}", family.suffix),
          fmt::format("iifname != {} {} daddr {} counter drop", inside_, family.ip, family.tunnel));
      add("early", fmt::format("tunnel_source_from_outside{}", family.suffix),
          fmt::format("iifname != {} {} saddr {} counter drop", inside_, family.ip, family.tunnel));
    }
    // A conversation begins with a source that answers go back to, out of a public interface: not with this host's own addresses, and not
    // with those of networks behind it. Beginnings only: this host itself may ask a neighbour with an address of the link.
    add("early", "source_nobody4", fmt::format("iifname {} ct state new ip saddr {} counter drop", public_, nobody4));
    add("early", "source_nobody6", fmt::format("iifname {} ct state new ip6 saddr {} counter drop", public_, nobody6));
    add("early", "source_elsewhere", fmt::format("iifname {} ct state new fib saddr oifname != {} counter drop", public_, public_));
    // Looking a route up is the dearest of these, and the addresses of a conversation do not change.
    add("early", "tunnel_source_route",
        fmt::format("iifname {} ct state != established fib saddr . iif oif missing counter drop", tunnel_));
    for (const auto& family : families_) {
      if (family.probe.empty()) continue;
      add("early", fmt::format("probe_source{}", family.suffix),
          fmt::format("iifname \"{}\" {} saddr != {} counter drop", ruleset_.probe->interface, family.ip, family.probe));
      add("early", fmt::format("probe_source_from_outside{}", family.suffix),
          fmt::format("iifname != {{ \"{}\", \"lo\" }} {} saddr {} counter drop", ruleset_.probe->interface, family.ip, family.probe));
    }
    // Beginnings only: what was open before a device came to an address has shown it already, and may be its neighbours'.
    if (ruleset_.entry_shares_lease_address) {
      for (const auto& family : families_) {
        if (family.hosts.empty()) continue;
        add("early", fmt::format("port_fail{}", family.suffix),
            fmt::format("iifname {} ct state new {} @endpoints{} {} daddr {} meta l4proto {{ tcp, udp }} th dport {} counter drop", public_,
                        family.endpoint_key, family.suffix, family.ip, family.hosts, to_string(ruleset_.pool)));
      }
    }
    // The middle of a conversation that we do not know: its owner is gone. The old peer is told, so that it starts again.
    const auto no_syn = "ct state new tcp flags & (fin|syn|rst|ack) != syn";
    add("early", "tcp_without_syn_reset",
        fmt::format("iifname {} {} tcp dport {} limit rate 200/second burst 100 packets counter reject with tcp reset", visitors_, no_syn,
                    to_string(ruleset_.pool)));
    add("early", "tcp_without_syn", fmt::format("iifname {} {} tcp dport {} counter drop", visitors_, no_syn, to_string(ruleset_.pool)));
    add("early", "tcp_without_syn_from_tunnel", fmt::format("iifname {} {} counter drop", tunnel_, no_syn));
    add("early", "invalid", "iifname != \"lo\" ct state invalid counter drop");
    // Here and not in a chain of its own: another program's flush takes the chains away one after the other, and a packet between two of
    // them would be seen without having been refused.
    add("early", "seen", fmt::format("meta mark set meta mark or {:#x}", seen_mark));
  }

  // A flow gets the generation of its lease once, and keeps it; forward compares it on every packet.
  void marking() {
    for (const auto& family : families_) {
      if (family.tunnel.empty()) continue;
      add("marking", fmt::format("mark_inbound{}", family.suffix),
          fmt::format("iifname {} ct state new ct mark 0 ct mark set {} daddr . meta l4proto . th dport map @genin{}", visitors_, family.ip,
                      family.suffix));
      // A visit that nobody answers holds a place for as long as an answer takes, and no longer.
      for (const auto* protocol : {"udp", "tcp"})
        add("marking", fmt::format("unanswered_{}{}", protocol, family.suffix),
            fmt::format("iifname {} ct state new ct mark @live meta nfproto {} meta l4proto {} ct timeout set \"unanswered_{}{}\"", public_,
                        family.nfproto, protocol, protocol, family.suffix));
      add("marking", fmt::format("mark_outbound{}", family.suffix),
          fmt::format("iifname {} ct state new ct mark 0 ct mark set meta l4proto . {} saddr . th sport map @genout{}", tunnel_, family.ip,
                      family.suffix));
    }
  }

  void inbound() {
    for (const auto& family : families_) {
      if (family.tunnel.empty()) continue;
      add("inbound", fmt::format("redirect{}", family.suffix),
          fmt::format("iifname {} ct mark @live dnat {} to {} daddr . meta l4proto . th dport map @dnat{}", visitors_, family.ip, family.ip,
                      family.suffix));
    }
  }

  void input() {
    add("input", "loopback", "iifname \"lo\" accept");
    if (ruleset_.probe) add("input", "probe_input", fmt::format("iifname \"{}\" counter drop", ruleset_.probe->interface));
    // Before conversations that go on: whatever they are, devices speak to the gateway's addresses of the tunnel alone.
    for (const auto& family : families_) {
      if (family.tunnel.empty()) continue;
      const auto search = family.suffix == "4" ? upnp_group4 : upnp_group6;
      add("input", fmt::format("tunnel_other_address{}", family.suffix),
          fmt::format("iifname {} {} daddr != {{ {}{} }} counter drop", tunnel_, family.ip, family.tunnel,
                      ruleset_.upnp ? fmt::format(", {}", search) : ""));
    }
    // Likewise: one device's flood is not to keep the others' requests waiting.
    if (ruleset_.requests_per_device_per_s != 0) {
      for (const auto& family : families_) {
        if (family.tunnel.empty()) continue;
        const auto ports = ruleset_.upnp ? fmt::format("{{ {}, {} }}", ruleset_.port_mapping_port.value(), ssdp_port)
                                         : to_string(ruleset_.port_mapping_port);
        // In bytes: requests that follow each other closely may arrive as one large packet.
        const auto rate = std::uint64_t{ruleset_.requests_per_device_per_s} * request_bytes;
        add("input", fmt::format("request_rate{}", family.suffix),
            fmt::format(
                "iifname {} udp dport {} update @requests{} {{ {} saddr limit rate over {} bytes/second burst {} bytes }} counter drop",
                tunnel_, ports, family.suffix, family.ip, rate, rate * 5 / 2));
      }
    }
    add("input", "input_established", "ct state established accept");
    // 58 is ICMPv6: nft finds the name only in /etc/protocols, which a small host does not have.
    add("input", "input_related", "ct state related meta l4proto { icmp, 58 } accept");
    // What follows lets devices in. Their conversations with the gateway take places in the table of connections as others do.
    for (const auto& family : families_) {
      if (family.tunnel.empty()) continue;
      add("input", fmt::format("connections_here{}", family.suffix),
          fmt::format("iifname {} ct state new add @talks{} {{ {} saddr ct count over {} }} update @spent{} {{ {} saddr }} counter drop",
                      tunnel_, family.suffix, family.ip, ruleset_.connections_to_gateway_max, family.suffix, family.ip));
    }
    // Only addresses of this host arrive here, so the prefix names the gateway's own tunnel addresses.
    for (const auto& family : families_) {
      if (family.tunnel.empty()) continue;
      const auto to_gateway = fmt::format("iifname {} {} daddr {}", tunnel_, family.ip, family.tunnel);
      add("input", fmt::format("port_mapping{}", family.suffix),
          fmt::format("{} udp dport {} accept", to_gateway, ruleset_.port_mapping_port.value()));
      add("input", fmt::format("device_api{}", family.suffix),
          fmt::format("{} tcp dport {} accept", to_gateway, ruleset_.api_port.value()));
      if (ruleset_.upnp)
        add("input", fmt::format("upnp_search{}", family.suffix),
            fmt::format("iifname {} {} daddr {{ {}, {} }} udp dport {} accept", tunnel_, family.ip, family.tunnel,
                        family.suffix == "4" ? upnp_group4 : upnp_group6, ssdp_port));
      if (const auto ports = proxy_ports(ruleset_.proxy, *parse_prefix(family.tunnel)); !ports.empty())
        add("input", fmt::format("proxy_device{}", family.suffix), fmt::format("{} tcp dport {{ {} }} accept", to_gateway, ports));
      add("input", fmt::format("device_echo{}", family.suffix),
          fmt::format("{} {} type echo-request limit rate 1000/second burst 200 packets accept", to_gateway, family.icmp));
    }
    add("input", "tunnel_input", fmt::format("iifname {} counter drop", tunnel_));
    // Without these a host loses its addresses and its neighbours. All are from the link: no router passes a hop limit of 255, an address
    // of the link, or a broadcast on. A DHCP server that this host has asked by its address is answered as every other conversation.
    add("input", "neighbour_discovery",
        "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept");
    add("input", "multicast_listener", "ip6 saddr fe80::/10 icmpv6 type mld-listener-query accept");
    add("input", "dhcp4", "ip daddr 255.255.255.255 udp sport 67 udp dport 68 accept");
    add("input", "dhcp6", "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept");
    add("input", "echo4", "icmp type echo-request limit rate 200/second burst 100 packets accept");
    add("input", "echo6", "icmpv6 type echo-request limit rate 200/second burst 100 packets accept");
    add("input", "wireguard", fmt::format("udp dport {} accept", tunnel_ports_));
    // Anybody can claim that a path is narrow, and the kernel would believe it for ten minutes, for all that is sent there.
    const auto path_error = [&](std::string_view suffix, std::string_view quoted) {
      add("input", fmt::format("wireguard_error{}", suffix),
          fmt::format("iifname {} ct state untracked meta l4proto {} {} @paths{} limit rate 20/second burst 20 packets accept", public_,
                      suffix == "4" ? "icmp" : "58", quoted, suffix));
    };
    path_error("4", quoted_endpoint4);
    path_error("6", quoted_endpoint6);
    for (const auto& [name, text] : proxy_rules(ruleset_.proxy, {ruleset_.tunnel_v4, ruleset_.tunnel_v6})) add("input", name, text);
    if (!ruleset_.input_tcp.empty()) add("input", "services_tcp", fmt::format("tcp dport {} accept", port_set(ruleset_.input_tcp)));
    if (!ruleset_.input_udp.empty()) add("input", "services_udp", fmt::format("udp dport {} accept", port_set(ruleset_.input_udp)));
  }

  void rewriting() {
    // Routers between drop the messages that path MTU discovery needs; the tunnel is narrower than what is outside.
    const auto clamped = "tcp flags & (syn|rst) == syn tcp option maxseg size set rt mtu";
    add("rewriting", "clamp_outbound", fmt::format("iifname {} {}", tunnel_, clamped));
    add("rewriting", "clamp_inbound", fmt::format("oifname {} {}", tunnel_, clamped));
    // Multipath TCP tells the other side all addresses that a host has, and is told where else to connect to. Without the option in its
    // beginning a connection is an ordinary one.
    add("rewriting", "multipath_tcp",
        fmt::format("iifname {} oifname {} tcp flags & syn == syn reset tcp option mptcp", everywhere_, everywhere_));
    // The kernel takes out the first one only, and no honest segment has two.
    add("rewriting", "multipath_tcp_twice",
        fmt::format("iifname {} oifname {} tcp flags & syn == syn tcp option mptcp exists counter drop", everywhere_, everywhere_));
    // Whose packets go first is not for a stranger to say, nor for a device on the gateway's line.
    for (const auto& family : families_)
      add("rewriting", fmt::format("precedence{}", family.suffix),
          fmt::format("iifname {} oifname {} {} dscp != cs0 {} dscp set cs0", everywhere_, everywhere_, family.ip, family.ip));
  }

  void forward() {
    const auto visit = fmt::format("iifname {} oifname {}", visitors_, tunnel_);  // the gateway's own visits too
    const auto answer = fmt::format("iifname {} oifname {}", tunnel_, visitors_);
    const auto in = fmt::format("iifname {} oifname {}", public_, tunnel_);
    const auto out = fmt::format("iifname {} oifname {}", tunnel_, public_);
    add("forward", "revoked_reset",
        "ct mark != 0 ct mark != @live meta l4proto tcp limit rate 1000/second burst 500 packets counter reject with tcp reset");
    add("forward", "revoked", "ct mark != 0 ct mark != @live counter drop");
    // Only what a device began: a neighbour who visits a lease is answered.
    for (const auto& family : families_) {
      if (family.tunnel.empty()) continue;
      const auto of = family.suffix == "4" ? Family::v4 : Family::v6;
      const auto open = network_set(ruleset_.open_networks, of);
      add("forward", fmt::format("closed_network{}", family.suffix),
          fmt::format("{} ct direction original {} daddr {} {}counter drop", out, family.ip, network_set(closed_networks(of), of),
                      open.empty() ? "" : fmt::format("{} daddr != {} ", family.ip, open)));
    }
    add("forward", "inbound_without_lease", fmt::format("{} ct direction original ct mark != @live counter drop", visit));
    // Between the tunnel and the public side only: when the tunnel device is gone, a redirected packet would follow the default route.
    add("forward", "established_inbound", fmt::format("{} ct state established accept", visit));
    add("forward", "established_outbound", fmt::format("{} ct state established accept", answer));
    // Errors alone: of what the kernel relates to a connection, a redirect would tell another way.
    for (const auto& family : families_) {
      if (family.tunnel.empty()) continue;
      add("forward", fmt::format("related_inbound{}", family.suffix), fmt::format("{} ct state related {} accept", in, family.errors));
      add("forward", fmt::format("related_outbound{}", family.suffix), fmt::format("{} ct state related {} accept", answer, family.errors));
    }
    add("forward", "device_to_device", fmt::format("iifname {} oifname {} counter drop", tunnel_, tunnel_));
    for (const auto& family : families_) {
      if (family.tunnel.empty()) continue;
      const auto refuse = [&](std::string_view name, std::string_view set, const std::string& key, std::uint32_t most) {
        add("forward", fmt::format("{}{}", name, family.suffix),
            fmt::format("{} meta nfproto {} ct state new add @{}{} {{ {} ct count over {} }} update @spent{} {{ {} saddr }} counter drop",
                        out, family.nfproto, set, family.suffix, key, most, family.suffix, family.ip));
      };
      // A key is made of what a packet carries, so the account is written on it for as long as it is counted.
      add("forward", fmt::format("owner{}", family.suffix),
          fmt::format("{} ct state new meta mark set {} saddr map @owner{}", out, family.ip, family.suffix));
      const auto ports = ruleset_.snat.size() / accounts_to_one_address;
      refuse("one_address", "targets", fmt::format("meta mark . {} daddr", family.ip),
             ruleset_.connections_to_one_address_max != 0 ? ruleset_.connections_to_one_address_max : ports);
      add("forward", fmt::format("owner_counted{}", family.suffix),
          fmt::format("{} meta nfproto {} ct state new meta mark set {:#x}", out, family.nfproto, seen_mark));
      refuse("connections_out", "flows", fmt::format("{} saddr", family.ip), ruleset_.connections_per_device);
      shares_of_visits(family, in);
    }
    if (ruleset_.new_connections_per_lease_per_s > 0)
      add("forward", "lease_rate",
          // A flow's first packet is the one that is not confirmed yet; without an answer the others are `new` too.
          fmt::format("{} ct state new ct status & confirmed == 0 update @rates {{ ct mark limit rate over {}/second burst {} packets }} "
                      "counter drop",
                      in, ruleset_.new_connections_per_lease_per_s, ruleset_.new_connections_per_lease_per_s));
    // No other protocols: what has no ports cannot be kept apart from the gateway's own traffic.
    add("forward", "new_outbound", fmt::format("{} ct state new meta l4proto {{ tcp, udp }} accept", out));
    for (const auto& family : families_) {
      if (family.tunnel.empty()) continue;
      add("forward", fmt::format("echo_outbound{}", family.suffix),
          fmt::format("{} ct state new {} type echo-request accept", out, family.icmp));
    }
    add("forward", "new_inbound", fmt::format("{} ct state new ct status dnat ct mark @live accept", visit));
  }

  // The smaller shares first: what they refuse counts in no larger one for long.
  void shares_of_visits(const Words& family, const std::string& in) {
    const auto share = [&](std::string_view name, std::string_view set, const std::string& key, std::uint64_t percent) {
      const auto most = std::max<std::uint64_t>(1, ruleset_.connections_per_device * percent / 100);
      add("forward", fmt::format("{}{}", name, family.suffix),
          fmt::format("{} meta nfproto {} ct state new add @{}{} {{ {} ct count over {} }} update @full{} {{ {} daddr }} counter drop", in,
                      family.nfproto, set, family.suffix, key, most, family.suffix, family.ip));
    };
    share("visitor_share", "visitors", fmt::format("{} daddr . {} saddr & {}", family.ip, family.ip, family.network_mask),
          visitor_share_percent);
    share("lease_share", "crowds", "ct mark", lease_share_percent);
    share("connections_in", "visits", fmt::format("{} daddr", family.ip), 100);
  }

  // The gateway's own packets with or for a tunnel address stay on the tunnel, also while the device is gone.
  void output() {
    for (const auto& family : families_) {
      if (family.tunnel.empty()) continue;
      add("output", fmt::format("tunnel_address_leaving{}", family.suffix),
          fmt::format("oifname != {} {} daddr {} counter drop", inside_, family.ip, family.tunnel));
      // Not the resets that end a revoked visit: they are in the device's name, and translated after this.
      add("output", fmt::format("tunnel_source_leaving{}", family.suffix),
          fmt::format("oifname != {} {} saddr {} ct status & dnat == 0 counter drop", inside_, family.ip, family.tunnel));
      // Errors of the kernel about what it has looked at before any rule have no connection, and so no status to ask for.
      add("output", fmt::format("tunnel_source_untracked{}", family.suffix),
          fmt::format("oifname != {} {} saddr {} ct state invalid,untracked counter drop", inside_, family.ip, family.tunnel));
    }
  }

  void outbound() {
    const auto out = fmt::format("iifname {} oifname {}", tunnel_, public_);
    for (const auto& family : families_) {
      if (family.tunnel.empty()) continue;
      add("outbound", fmt::format("keep_leased_port{}", family.suffix),
          fmt::format("{} ct mark @live snat {} to meta l4proto . {} saddr . th sport map @eim{}", out, family.ip, family.ip,
                      family.suffix));
    }
    add("outbound", "source_ports",
        fmt::format("{} meta l4proto {{ tcp, udp }} masquerade to :{} fully-random", out, to_string(ruleset_.snat)));
    add("outbound", "source_icmp", fmt::format("{} meta l4proto {{ icmp, 58 }} masquerade", out));
  }

  const GatewayRuleset& ruleset_;
  std::string public_;
  std::string visitors_;      // the public interfaces, and where the gateway's own visits come from: those count against no limit
  std::string tunnel_;        // the interface, or the set of them
  std::string inside_;        // the tunnels and this host itself
  std::string tunnel_ports_;  // UDP, where devices speak to tunnels: the port, or the set of them
  std::string everywhere_;    // where visitors or devices are
  std::array<Words, 2> families_;
  std::vector<Rule> rules_;
};

bool is_table_name(std::string_view name) {
  constexpr std::size_t name_max = 31;
  return !name.empty() && name.size() <= name_max &&
         std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }) &&
         !(name[0] >= '0' && name[0] <= '9');
}

Status refuse(std::string message, std::string cure) { return fail(invalid("ruleset_invalid", std::move(message), std::move(cure))); }

Status check(const GatewayRuleset& ruleset) {
  if (ruleset.public_interfaces.empty()) return refuse("the rule set names no public interface", "name one in the configuration");
  if (ruleset.tunnel_interfaces.empty()) return refuse("the rule set names no tunnel", "name an interface for one in the configuration");
  auto names = ruleset.public_interfaces;
  names.insert(names.end(), ruleset.tunnel_interfaces.begin(), ruleset.tunnel_interfaces.end());
  if (ruleset.probe) names.push_back(ruleset.probe->interface);
  for (const auto& name : names)
    if (!is_interface_name(name))
      return refuse(fmt::format("'{}' is not a name for a network interface", name), "use the name that ip link shows");
  std::sort(names.begin(), names.end());
  if (std::adjacent_find(names.begin(), names.end()) != names.end())
    return refuse("a network interface is named twice, as public, as tunnel or as the gateway's own door to its leases", "name each once");
  if (!is_table_name(ruleset.table)) return refuse(fmt::format("'{}' is not a name for a table", ruleset.table), "use letters and digits");
  if (!ruleset.tunnel_v4 && !ruleset.tunnel_v6) return refuse("the tunnel has neither an IPv4 nor an IPv6 prefix", "configure one");
  if (ruleset.tunnel_v4 && (ruleset.tunnel_v4->family() != Family::v4 || ruleset.tunnel_v4->length() == 0))
    return refuse(fmt::format("{} is not an IPv4 prefix for a tunnel", to_string(*ruleset.tunnel_v4)), "use one like 10.77.0.0/16");
  if (ruleset.tunnel_v6 && (ruleset.tunnel_v6->family() != Family::v6 || ruleset.tunnel_v6->length() == 0))
    return refuse(fmt::format("{} is not an IPv6 prefix for a tunnel", to_string(*ruleset.tunnel_v6)), "use one like fd77:6472:7066::/64");
  for (const auto& host : ruleset.hosts) {
    if (host.v4 && !host.v4->is_v4())
      return refuse(fmt::format("host '{}' has {} as its IPv4 address", host.name, to_string(*host.v4)), "");
    if (host.v6 && !host.v6->is_v6())
      return refuse(fmt::format("host '{}' has {} as its IPv6 address", host.name, to_string(*host.v6)), "");
    for (const auto& address : {host.v4, host.v6})
      if (address &&
          ((ruleset.tunnel_v4 && ruleset.tunnel_v4->contains(*address)) || (ruleset.tunnel_v6 && ruleset.tunnel_v6->contains(*address))))
        return refuse(fmt::format("the public address {} lies inside the tunnel prefix", to_string(*address)),
                      "choose another tunnel prefix");
  }
  if (ruleset.probe)
    for (const auto& address : {ruleset.probe->v4, ruleset.probe->v6})
      if ((ruleset.tunnel_v4 && ruleset.tunnel_v4->contains(address)) || (ruleset.tunnel_v6 && ruleset.tunnel_v6->contains(address)))
        return refuse(fmt::format("{}, which the gateway visits its leases from, lies inside the tunnel prefix", to_string(address)),
                      "choose another tunnel prefix");
  if (ruleset.connections_to_gateway_max == 0)
    return refuse("a limit of 0 connections to the gateway would stop every device", "use 1 or more");
  if (ruleset.connections_per_device == 0) return refuse("a limit of 0 connections per device would stop every device", "use 1 or more");
  std::vector<PortClaim> claims{{ruleset.pool, PortUse::lease_pool, "pool"},
                                {ruleset.snat, PortUse::snat, "snat"},
                                {PortRange(ruleset.wireguard_port), PortUse::service, "WireGuard"}};
  for (const auto port : ruleset.more_tunnel_ports_udp) claims.push_back({PortRange(port), PortUse::service, "another tunnel"});
  for (const auto range : ruleset.input_tcp) claims.push_back({range, PortUse::service, "input_tcp"});
  for (const auto range : ruleset.input_udp) claims.push_back({range, PortUse::service, "input_udp"});
  return prove_disjoint(claims);
}

}  // namespace

std::vector<Rule> rules(const GatewayRuleset& ruleset) { return Builder(ruleset).build(); }

Result<std::string> nft_text(const GatewayRuleset& ruleset) {
  if (auto checked = check(ruleset); !checked) return fail(checked.error());
  const auto all = rules(ruleset);
  for (const auto& name : ruleset.without)
    if (std::none_of(all.begin(), all.end(), [&](const Rule& rule) { return rule.name == name; }))
      return fail(invalid("ruleset_invalid", fmt::format("there is no rule '{}' to leave out", name)));

  std::string text;
  for (const auto& definition : set_definitions(ruleset.table)) text += definition + "\n";
  // What counts keeps the limit that it began with: without this a changed limit would not touch the devices that are known already.
  for (const auto* set : counting_sets) text += fmt::format("flush set inet {} {}\n", ruleset.table, set);
  for (const auto& chain : chains) {
    text += fmt::format("\nadd chain inet {} {} {{ {} }}\n", ruleset.table, chain.name, chain.hook);
    text += fmt::format("flush chain inet {} {}\n", ruleset.table, chain.name);
    for (const auto& rule : all) {
      if (rule.chain != chain.name) continue;
      if (std::find(ruleset.without.begin(), ruleset.without.end(), rule.name) != ruleset.without.end()) continue;
      text += fmt::format("add rule inet {} {} {} comment \"{}\"\n", ruleset.table, rule.chain, rule.text, rule.name);
    }
  }
  return text;
}

std::vector<std::string> chain_names() {
  std::vector<std::string> out;
  for (const auto& chain : chains) out.emplace_back(chain.name);
  return out;
}

}  // namespace drpf::firewall
