#include "client/connect/route_plan.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "client/share/relay_ports.h"
#include "core/interface_name.h"
#include "core/text.h"

namespace drpf::client {
namespace {

using protocol::wireguard::WgQuickFile;

constexpr std::uint32_t table_base = 0x64500000;
constexpr std::uint32_t reply_mark_base = 0x64510000;
constexpr std::uint32_t priority_base_selected = 30000;
constexpr std::uint32_t priority_base_everything = 31000;
constexpr std::uint32_t priority_places = 300;
constexpr std::string_view refusal_text = "counter reject with icmpx type admin-prohibited\n";

// 16 bits of FNV-1a: two interfaces of one machine share a table only by an accident of 1 in 65,536.
std::uint32_t hash16(std::string_view text) {
  std::uint32_t hash = 0x811c9dc5;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193u;
  return (hash >> 16 ^ hash) & 0xffff;
}

std::vector<std::string> addresses_of(const RoutePlan& plan, Family family) {
  std::vector<std::string> out;
  for (const auto& address : plan.addresses) {
    if (address.address.family() == family) out.push_back(to_string(address.address));
  }
  return out;
}

bool has(const RoutePlan& plan, Family family) {
  return std::any_of(plan.addresses.begin(), plan.addresses.end(), [&](const auto& a) { return a.address.family() == family; });
}

// Prefixes of the tunnel, without duplicates and without those of a family that this device has no address of.
std::vector<Prefix> wanted_prefixes(const WgQuickFile& file, const RoutePlan& plan) {
  std::vector<Prefix> out;
  for (const auto& peer : file.peers) {
    for (const auto& prefix : peer.allowed_ips) {
      if (has(plan, prefix.family())) out.push_back(prefix);
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// A packet for the tunnel address that arrives anywhere else was not sent by the gateway: somebody on the local network probes or injects
// (CVE-2019-14899). rp_filter does not see this, and IPv6 has none.
std::string guard_chain(const RoutePlan& plan) {
  std::string text = "  chain guard {\n    type filter hook prerouting priority -300; policy accept;\n";
  if (const auto v4 = addresses_of(plan, Family::v4); !v4.empty()) {
    text += fmt::format("    iifname != {{ \"lo\", \"{}\" }} ip daddr {{ {} }} counter drop\n", plan.interface, fmt::join(v4, ", "));
  }
  if (const auto v6 = addresses_of(plan, Family::v6); !v6.empty()) {
    text += fmt::format("    iifname != {{ \"lo\", \"{}\" }} ip6 daddr {{ {} }} counter drop\n", plan.interface, fmt::join(v6, ", "));
  }
  return text + "  }\n";
}

// Answers to the engine's packets get its mark back, so that a strict reverse path check asks the table that they left by.
std::string engine_mark_chains(const RoutePlan& plan) {
  return fmt::format(
      "  chain engine_out {{\n    type filter hook postrouting priority -150; policy accept;\n"
      "    meta l4proto udp meta mark {0:#x} ct mark set {0:#x}\n  }}\n"
      "  chain engine_in {{\n    type filter hook prerouting priority -150; policy accept;\n"
      "    meta l4proto udp ct mark {0:#x} meta mark set {0:#x}\n  }}\n",
      plan.engine_mark);
}

// What a network needs to be one, and what stays reachable beside a tunnel.
constexpr std::array<std::string_view, 9> always_outside{"10.0.0.0/8",     "172.16.0.0/12", "192.168.0.0/16",
                                                         "169.254.0.0/16", "224.0.0.0/4",   "255.255.255.255/32",
                                                         "fe80::/10",      "fc00::/7",      "ff00::/8"};

std::vector<Prefix> outside_of(Family family) {
  std::vector<Prefix> out;
  for (const auto text : always_outside)
    if (const auto prefix = parse_prefix(text); prefix && prefix->family() == family) out.push_back(*prefix);
  return out;
}

std::string listed(const std::vector<Prefix>& prefixes) {
  std::vector<std::string> texts;
  for (const auto& prefix : prefixes) texts.push_back(to_string(prefix));
  return fmt::format("{}", fmt::join(texts, ", "));
}

// Only the tunnel's own packets, private and link-local networks, neighbour discovery and DHCP leave beside the tunnel, whether this
// machine sends or forwards them. A more specific route that a hostile network hands out (TunnelVision), or a public range that it claims
// as local (TunnelCrack), leads into the reject. The answers that another tunnel of drpf connect has marked are kept in by that one's own
// rules. `refused`: what is said of the rest.
std::string kill_switch_chains(const RoutePlan& plan, std::string_view refused) {
  const auto outside = fmt::format("    ip daddr {{ {} }} accept\n    ip6 daddr {{ {} }} accept\n", listed(outside_of(Family::v4)),
                                   listed(outside_of(Family::v6)));
  const auto answers = fmt::format("    meta mark and {:#x} == {:#x} accept\n", mark_family_mask, reply_mark_base);
  return fmt::format(
      "  chain {5} {{\n    type filter hook output priority 0; policy accept;\n"
      "    oifname {{ \"lo\", \"{0}\" }} accept\n"
      "    meta mark {1:#x} accept\n{2}{3}"
      "    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept\n"
      "    udp sport 68 udp dport 67 accept\n{4}  }}\n"
      "  chain passing {{\n    type filter hook forward priority 0; policy accept;\n"
      "    oifname \"{0}\" accept\n{2}{3}{4}  }}\n",
      plan.interface, plan.engine_mark, answers, outside, refused, kill_switch_chain);
}

// A connection that came in through the tunnel is marked; what answers it, from this machine or from one behind it, is marked and so finds
// our table. Everything else never sees it.
std::string inbound_chains(const RoutePlan& plan) {
  std::string own;
  for (const auto family : {Family::v4, Family::v6})
    if (const auto addresses = addresses_of(plan, family); !addresses.empty())
      own += fmt::format("    {} saddr {{ {} }} meta mark set {:#x}\n", family == Family::v4 ? "ip" : "ip6", fmt::join(addresses, ", "),
                         reply_mark(plan.interface));
  return fmt::format(
      "  chain arrived {{\n    type filter hook prerouting priority -150; policy accept;\n"
      "    iifname \"{0}\" ct state new ct mark set {1:#x}\n"
      "    iifname != \"{0}\" ct direction reply ct mark {1:#x} meta mark set {1:#x}\n  }}\n"
      "  chain answers {{\n    type route hook output priority -150; policy accept;\n"
      "    ct direction reply ct mark {1:#x} meta mark set {1:#x}\n{2}  }}\n",
      plan.interface, reply_mark(plan.interface), own);
}

// What bears the tunnel's address, or answers what came in through the tunnel, leaves by the tunnel or not at all.
std::string leaving_chain(const RoutePlan& plan, bool answers) {
  std::string text = "  chain leaving {\n    type filter hook postrouting priority -150; policy accept;\n";
  const auto elsewhere = fmt::format("    oifname != {{ \"lo\", \"{}\" }}", plan.interface);
  if (answers) text += fmt::format("{} ct direction reply ct mark {:#x} counter drop\n", elsewhere, reply_mark(plan.interface));
  for (const auto family : {Family::v4, Family::v6})
    if (const auto addresses = addresses_of(plan, family); !addresses.empty())
      text +=
          fmt::format("{} {} saddr {{ {} }} counter drop\n", elsewhere, family == Family::v4 ? "ip" : "ip6", fmt::join(addresses, ", "));
  return text + "  }\n";
}

TunnelFences fences_of(const RoutePlan& plan, const RouteWish& wish, const std::optional<Address>& gateway) {
  TunnelFences fences;
  fences.interface = plan.interface;
  for (const auto& address : plan.addresses) {
    fences.own.push_back(address.address);
    if (!address.address.is_v6()) continue;
    if (const auto first = Prefix(address.address, 64).nth(1); first != address.address) fences.gateways.push_back(first);
  }
  if (gateway) fences.gateways.push_back(*gateway);
  fences.named = wish.let_in;
  fences.askers = wish.askers;
  if (wish.shares) fences.shared_ports = relay_ports;
  return fences;
}

PlannedRoute last_resort(const Prefix& to, std::uint32_t table) { return {.to = to, .table = table, .last_resort = true}; }
Prefix everything(Family family) { return family == Family::v4 ? Prefix() : Prefix(*parse_address("::"), 0); }

// Programs that look for "the router" take the first route to 0.0.0.0 that has a gateway (docs/port-mapping.md). Nobody sends anything
// there.
void make_findable(RoutePlan& plan, const Address& gateway) {
  plan.routes.push_back({.to = Prefix(Address::v4(0), 8), .table = main_table, .gateway = gateway});
}

void plan_inbound_only(RoutePlan& plan, std::optional<Address> gateway) {
  plan.table = own_table(plan.interface);
  const auto priority = rule_priorities(plan.interface, Reach::selected);
  for (const auto family : {Family::v4, Family::v6}) {
    if (!has(plan, family)) continue;
    plan.routes.push_back({everything(family), plan.table});
    plan.routes.push_back(last_resort(everything(family), plan.table));
    plan.rules.push_back({.family = family, .priority = priority.second, .table = plan.table, .mark = reply_mark(plan.interface)});
  }
  for (const auto& address : plan.addresses) {
    plan.rules.push_back(
        {.family = address.address.family(), .priority = priority.first, .table = plan.table, .from = Prefix::host(address.address)});
  }
  if (gateway) {
    plan.rules.push_back({.family = Family::v4, .priority = priority.gateway, .table = plan.table, .to = Prefix::host(*gateway)});
    make_findable(plan, *gateway);
  }
  // Visitors come in by the tunnel while the way back to them is another interface: "loose" is the check that allows this.
  auto with_slashes = plan.interface;
  std::replace(with_slashes.begin(), with_slashes.end(), '.', '/');
  plan.settings.push_back({fmt::format("net.ipv4.conf.{}.rp_filter", with_slashes), "2"});
}

// With a kill switch only what may go outside asks the other tables: a route that somebody adds there leads nothing else past the tunnel,
// and a family that the tunnel does not carry is unreachable.
void plan_full_tunnel(RoutePlan& plan, const std::vector<Prefix>& prefixes, std::optional<Address> gateway, bool ipv6) {
  plan.full_tunnel = true;
  plan.table = own_table(plan.interface);
  const auto priority = rule_priorities(plan.interface, Reach::everything);
  for (const auto& prefix : prefixes) plan.routes.push_back({prefix, plan.table});
  for (const auto family : {Family::v4, Family::v6}) {
    const bool carried = std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) { return prefix.family() == family; });
    if (!carried && !(plan.kill_switch && (family == Family::v4 || ipv6))) continue;
    PlannedRule others{.family = family, .priority = priority.first, .table = main_table, .suppress_default = true};
    if (plan.kill_switch) {
      plan.routes.push_back(last_resort(everything(family), plan.table));
      for (const auto& prefix : outside_of(family)) {
        others.to = prefix;
        plan.rules.push_back(others);
      }
    } else {
      plan.rules.push_back(others);
    }
    plan.rules.push_back({.family = family, .priority = priority.second, .table = plan.table, .mark = plan.engine_mark, .not_mark = true});
  }
  if (gateway) {
    plan.rules.push_back({.family = Family::v4, .priority = priority.gateway, .table = plan.table, .to = Prefix::host(*gateway)});
    make_findable(plan, *gateway);
  }
  plan.settings.push_back({"net.ipv4.conf.all.src_valid_mark", "1", true});
}

// Routes of some networks: these leave by the tunnel or not at all, but for what a network at hand has the same addresses.
std::string plan_split_tunnel(RoutePlan& plan, const std::vector<Prefix>& prefixes) {
  for (const auto& prefix : prefixes) plan.routes.push_back({prefix, main_table});
  if (!plan.kill_switch) return {};
  for (const auto& prefix : prefixes) plan.routes.push_back(last_resort(prefix, main_table));
  std::string sets;
  std::string refused;
  for (const auto family : {Family::v4, Family::v6}) {
    std::vector<Prefix> own;
    std::copy_if(prefixes.begin(), prefixes.end(), std::back_inserter(own), [&](const auto& prefix) { return prefix.family() == family; });
    if (own.empty()) continue;
    const auto [word, type, name] =
        family == Family::v4 ? std::tuple("ip", "ipv4_addr", "inside4") : std::tuple("ip6", "ipv6_addr", "inside6");
    sets += fmt::format("  set {} {{ type {}; flags interval; auto-merge; elements = {{ {} }}; }}\n", name, type, listed(own));
    refused += fmt::format("    {} daddr @{} {}", word, name, refusal_text);
  }
  return sets + kill_switch_chains(plan, refused);
}

}  // namespace

Status check_interface_name(std::string_view name) {
  const bool good = is_interface_name(name) && is_letter_or_digit(name.front()) && name.find_first_of("@+") == std::string_view::npos;
  if (good && name != "lo" && name != "all" && name != "default") return {};
  return fail(invalid("bad_interface_name", fmt::format("'{}' cannot be the name of the tunnel interface", name.substr(0, 64)),
                      "Use 1 to 15 letters, digits, '_', '-' or '.', beginning with a letter or digit: --interface drpf0."));
}

Result<std::string> interface_name_of_file(std::string_view path) {
  auto name = path.substr(path.find_last_of('/') == std::string_view::npos ? 0 : path.find_last_of('/') + 1);
  if (name.ends_with(".conf")) name.remove_suffix(5);
  if (const auto status = check_interface_name(name); !status) return fail(status.error());
  return std::string(name);
}

RulePriorities rule_priorities(std::string_view interface, Reach reach) {
  const auto base =
      (reach == Reach::selected ? priority_base_selected : priority_base_everything) + hash16(interface) % priority_places * 3;
  return {base, base + 1, base + 2};
}

bool is_own_rule(std::string_view interface, const PlannedRule& rule) {
  for (const auto reach : {Reach::selected, Reach::everything}) {
    const auto place = rule_priorities(interface, reach);
    if (rule.priority < place.gateway || rule.priority > place.second) continue;
    if (rule.table == own_table(interface)) return true;
    if (reach == Reach::everything && rule.priority == place.first && rule.table == main_table && rule.suppress_default) return true;
  }
  return false;
}

std::uint32_t own_table(std::string_view interface) { return table_base | hash16(interface); }
std::uint32_t reply_mark(std::string_view interface) { return reply_mark_base | hash16(interface); }
std::string firewall_table_name(std::string_view interface) { return fmt::format("{}{}", firewall_table_prefix, interface); }
bool is_connect_table(std::uint32_t table) { return (table & mark_family_mask) == table_base; }

bool stays_outside(const Address& address) {
  const auto networks = outside_of(address.family());
  return std::any_of(networks.begin(), networks.end(), [&](const auto& network) { return network.contains(address); });
}

std::optional<Address> gateway_address(const WgQuickFile& file) {
  for (const auto& own : file.addresses) {
    if (!own.address.is_v4()) continue;
    const auto gateway = Address::v4((own.address.v4_host_order() & 0xffffff00) | 1);
    if (gateway != own.address) return gateway;
  }
  return std::nullopt;
}

void let_leases_in(RoutePlan& plan, OpenPorts leased) {
  plan.leased = std::move(leased);
  plan.firewall = fmt::format("table inet {0}\ndelete table inet {0}\ntable inet {0} {{\n{1}{2}}}\n", firewall_table_name(plan.interface),
                              leased_sets(plan.leased), plan.chains);
}

RoutePlan make_route_plan(const WgQuickFile& file, const RouteWish& wish) {
  RoutePlan plan;
  plan.interface = wish.interface;
  plan.engine_mark = file.firewall_mark.value_or(own_table(wish.interface));
  plan.mtu = file.mtu.value_or(tunnel_mtu_default);
  plan.addresses = file.addresses;

  const auto prefixes = wanted_prefixes(file, plan);
  const auto gateway = gateway_address(file);
  // Half of everything is as good as everything: written as 0.0.0.0/1 and 128.0.0.0/1 it would catch the engine's own packets, too.
  const bool everything = std::any_of(prefixes.begin(), prefixes.end(), [](const auto& prefix) { return prefix.length() <= 1; });
  const auto fences = fences_of(plan, wish, gateway);
  std::string chains =
      guard_chain(plan) + leaving_chain(plan, wish.inbound_only) + source_chains(fences) + asking_chain(fences) + arrival_chains(fences);
  if (wish.inbound_only) {
    plan.stays = true;
    plan_inbound_only(plan, gateway);
    chains += inbound_chains(plan);
  } else if (std::holds_alternative<WgQuickFile::TableOff>(file.table)) {
    plan.notes.emplace_back("Table = off: no routes are set; use --inbound-only to have only answers to visitors leave by the tunnel");
  } else if (const auto* number = std::get_if<std::uint32_t>(&file.table)) {
    for (const auto& prefix : prefixes) plan.routes.push_back({prefix, *number});
  } else if (everything) {
    plan.kill_switch = plan.stays = wish.kill_switch;
    plan_full_tunnel(plan, prefixes, gateway, wish.ipv6);
    chains += engine_mark_chains(plan);
    if (plan.kill_switch) chains += kill_switch_chains(plan, fmt::format("    {}", refusal_text));
    if (!plan.kill_switch && !has(plan, Family::v6)) {
      plan.notes.emplace_back("the tunnel has no IPv6 and the kill switch is off: IPv6 goes past the tunnel");
    }
  } else {
    plan.kill_switch = plan.stays = wish.kill_switch;
    chains += plan_split_tunnel(plan, prefixes);
  }

  plan.chains = std::move(chains);
  let_leases_in(plan, {});
  return plan;
}

}  // namespace drpf::client
