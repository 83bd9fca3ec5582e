#include "client/connect/tunnel_fences.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "client/follow/follow_rule.h"

namespace drpf::client {
namespace {

constexpr std::string_view turned_away = "counter reject with icmpx type admin-prohibited\n";
constexpr Port announcement_port{5350};  // where programs hear that their mappings are gone (RFC 6886 section 3.2.1, RFC 6887 section 14)

// Where the gateway's doctor asks whether this machine answers at all. The firewall answers, so that it reaches nobody who listens there.
constexpr PortRange quiet_ports{Port{61000}, Port{65535}};

struct FamilyWords {
  Family family;
  std::string_view header;    // of nft
  std::string_view protocol;  // meta nfproto
};
constexpr std::array both_families{FamilyWords{Family::v4, "ip", "ipv4"}, FamilyWords{Family::v6, "ip6", "ipv6"}};

std::string of_family(const std::vector<Address>& addresses, Family family) {
  std::vector<std::string> texts;
  for (const auto& address : addresses)
    if (address.family() == family) texts.push_back(to_string(address));
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string elements(const std::vector<PortRange>& ranges) {
  std::vector<std::string> texts;
  for (const auto& range : ranges) texts.push_back(to_string(range));
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string quoted(const std::vector<std::string>& names) { return fmt::format("\"{}\"", fmt::join(names, "\", \"")); }

std::string accept_answers() { return "    ct direction reply accept\n    ct state related meta l4proto { icmp, ipv6-icmp } accept\n"; }

// Answers to a search come from another address than the search went to, so connections do not tell them: the port that asked does.
std::string search_chain(const TunnelFences& fences) {
  return fmt::format(
      "  set searchers {{ type inet_service; size 1024; flags dynamic,timeout; timeout 1m; }}\n"
      "  chain searching {{\n    type filter hook output priority -2; policy accept;\n"
      "    oifname \"{}\" udp dport {} update @searchers {{ udp sport }}\n  }}\n",
      fences.interface, to_string(upnp_search_port));
}

std::string accept_here(const TunnelFences& fences, std::string_view ports, std::string_view protocol) {
  std::string text;
  for (const auto& words : both_families)
    if (const auto own = of_family(fences.own, words.family); !own.empty())
      text += fmt::format("    {} daddr {{ {} }} {} dport {} accept\n", words.header, own, protocol, ports);
  return text;
}

std::string accept_behind(std::string_view ports, std::string_view protocol) {
  return fmt::format("    ct status dnat meta l4proto {} ct original proto-dst {} accept\n", protocol, ports);
}

}  // namespace

std::vector<PortRange> joined(std::vector<PortRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<PortRange> out;
  for (const auto& range : ranges) {
    if (out.empty() || std::uint32_t{out.back().last().value()} + 1 < range.first().value())
      out.push_back(range);
    else
      out.back() = PortRange(out.back().first(), std::max(out.back().last(), range.last()));
  }
  return out;
}

Result<OpenPorts> parse_open_ports(std::string_view text) {
  OpenPorts open;
  if (text == "all") {
    open.everything = true;
    return open;
  }
  for (std::size_t count = 0;; ++count) {
    const auto comma = text.find(',');
    const auto part = text.substr(0, comma);
    const auto ports = parse_followed_ports(part);
    if (!ports || count == let_in_max)
      return fail(invalid("bad_let_in",
                          ports ? fmt::format("--let-in: more than {} ports and ranges", let_in_max)
                                : fmt::format("--let-in: '{}' is no port or range from 1 to 65535", part.substr(0, 64)),
                          "Like this: --let-in 22,8000-8010/udp, or --let-in all"));
    if (ports->tcp) open.tcp.push_back(ports->ports);
    if (ports->udp) open.udp.push_back(ports->ports);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  open.tcp = joined(std::move(open.tcp));
  open.udp = joined(std::move(open.udp));
  return open;
}

// A neighbour who says that he is this device would be forwarded into the tunnel as this device; one beyond the tunnel would be believed to
// be this machine. IPv6 has no reverse path check, and IPv4's may be off.
std::string source_chains(const TunnelFences& fences) {
  std::string arriving;
  // The kernel speaks of itself on every link, and nobody need hear or count it here.
  auto entering = fmt::format("    oifname \"{}\" ip6 saddr {{ ::, fe80::/10 }} drop\n", fences.interface);
  for (const auto& words : both_families) {
    const auto own = of_family(fences.own, words.family);
    if (own.empty()) {
      entering += fmt::format("    oifname \"{}\" meta nfproto {} counter drop\n", fences.interface, words.protocol);
      continue;
    }
    arriving += fmt::format("    iifname != \"lo\" {} saddr {{ {} }} counter drop\n", words.header, own);
    entering += fmt::format("    oifname \"{}\" {} saddr != {{ {} }} counter drop\n", fences.interface, words.header, own);
  }
  if (fences.named.everything) entering.clear();  // it couples networks: their machines speak through it under addresses of their own
  // After all translations of sources, whose they may be.
  return fmt::format(
      "  chain claiming {{\n    type filter hook prerouting priority -300; policy accept;\n{}  }}\n"
      "  chain entering {{\n    type filter hook postrouting priority 150; policy accept;\n{}  }}\n",
      arriving, entering);
}

// The gateway takes what bears the device's address for the device: a container behind its masquerade would open, move and end its ports.
std::string asking_chain(const TunnelFences& fences) {
  std::string text = fmt::format(
      "  chain asking {{\n    type filter hook forward priority -2; policy accept;\n    oifname != \"{}\" accept\n", fences.interface);
  if (!fences.askers.empty()) text += fmt::format("    iifname {{ {} }} accept\n", quoted(fences.askers));
  text += fmt::format("    ct direction reply accept\n    meta l4proto {{ tcp, udp }} th dport {{ {}, {} }} {}",
                      to_string(upnp_search_port), to_string(gateway_doors_port), turned_away);
  for (const auto& words : both_families)
    if (const auto gateways = of_family(fences.gateways, words.family); !gateways.empty())
      text += fmt::format("    {} daddr {{ {} }} meta l4proto {{ tcp, udp }} th dport != 53 {}", words.header, gateways, turned_away);
  return text + "  }\n";
}

std::string leased_sets(const OpenPorts& leased) {
  std::string text;
  for (const auto& [name, ranges] : {std::pair("leased_tcp", &leased.tcp), std::pair("leased_udp", &leased.udp)}) {
    const auto content = ranges->empty() ? std::string() : fmt::format(" elements = {{ {} }};", elements(*ranges));
    text += fmt::format("  set {} {{ type inet_service; flags interval;{} }}\n", name, content);
  }
  return text;
}

std::string arrival_chains(const TunnelFences& fences) {
  if (fences.named.everything) return {};
  std::string here;
  std::string behind;
  for (const auto& [protocol, ranges] : {std::pair("tcp", &fences.named.tcp), std::pair("udp", &fences.named.udp)}) {
    const auto leased = fmt::format("@leased_{}", protocol);
    here += accept_here(fences, leased, protocol);
    behind += accept_behind(leased, protocol);
    if (ranges->empty()) continue;
    const auto named = fmt::format("{{ {} }}", elements(*ranges));
    here += accept_here(fences, named, protocol);
    behind += accept_behind(named, protocol);
  }
  if (fences.shared_ports)
    behind +=
        fmt::format("    ct status dnat meta l4proto {{ tcp, udp }} ct original proto-dst {} accept\n", to_string(*fences.shared_ports));
  const auto answers = accept_answers();
  // What the gateway tells by itself: that mappings are gone, and where UPnP is, to whoever searched for it.
  return search_chain(fences) +
         fmt::format(
             "  chain arriving {{\n    type filter hook input priority -2; policy accept;\n    iifname != \"{0}\" accept\n{1}{2}"
             "    udp sport {3} udp dport {4} accept\n    udp sport {5} udp dport @searchers accept\n"
             "    icmp type echo-request limit rate 20/second accept\n"
             "    icmpv6 type echo-request limit rate 20/second accept\n"
             "    tcp dport {7} limit rate 20/second reject with tcp reset\n    udp dport {7} limit rate 20/second reject\n"
             "    counter drop\n  }}\n"
             "  chain passing_on {{\n    type filter hook forward priority -2; policy accept;\n    iifname != \"{0}\" accept\n{1}{6}"
             "    counter drop\n  }}\n",
             fences.interface, answers, here, to_string(gateway_doors_port), to_string(announcement_port), to_string(upnp_search_port),
             behind, to_string(quiet_ports));
}

}  // namespace drpf::client
