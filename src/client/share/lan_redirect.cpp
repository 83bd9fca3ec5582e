#include "client/share/lan_redirect.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "client/connect/lent_rights.h"
#include "client/connect/route_plan.h"
#include "client/ports/ports_file.h"
#include "system/conntrack.h"
#include "system/process.h"
#include "system/sysctl.h"

namespace drpf::client {
namespace {

using system::NftBatch;
using system::NftData;
using system::NftElement;

constexpr std::chrono::seconds nft_time_max{10};
constexpr std::string_view lead_map = "lead";
constexpr std::string_view live_set = "live";

Result<system::Output> nft(std::vector<std::string> arguments, std::string input) {
  system::Command command;
  command.arguments = std::move(arguments);
  command.input = std::move(input);
  command.prepare = lend_network;
  return system::run(command, nft_time_max);
}

std::string forwarding_of(std::string interface) {
  std::replace(interface.begin(), interface.end(), '.', '/');
  return fmt::format("net.ipv4.conf.{}.forwarding", interface);
}

NftData lead_key(const RelayRedirection& r) { return NftData().protocol(r.protocol).port(r.relay_port); }
NftData live_key(const RelayRedirection& r) { return NftData().address(r.machine.address).protocol(r.protocol).port(r.machine.port); }

}  // namespace

std::string share_table_name(std::string_view tunnel) { return fmt::format("drpf_share_{}", tunnel); }

std::string share_note_path(const std::string& note_path) { return note_path + ".share"; }

std::string share_ruleset(const LanWish& wish) {
  const auto ports = to_string(relay_ports);
  std::vector<std::string> networks;
  for (const auto& network : wish.networks) networks.push_back(to_string(network));
  // First what must not be: a source that is not outside, a connection whose redirection has ended, and anything that nobody asked for.
  std::string pass;
  if (!networks.empty()) pass += fmt::format("    iifname \"{}\" ip saddr {{ {} }} counter drop\n", wish.tunnel, fmt::join(networks, ", "));
  pass += fmt::format(
      "    iifname \"{0}\" oifname \"{1}\" ct direction reply accept\n"
      "    iifname \"{0}\" oifname \"{1}\" ct state related accept\n"
      "    iifname \"{0}\" oifname \"{1}\" meta l4proto {{ tcp, udp }} ct status dnat ct original proto-dst != {2} accept\n"  // led there
                                                                                                                              // by others
      "    iifname \"{0}\" oifname \"{1}\" ct status dnat ip daddr . meta l4proto . th dport @live accept\n"
      "    iifname \"{0}\" oifname \"{1}\" counter drop\n"
      "    iifname \"{1}\" oifname \"{0}\" meta l4proto {{ tcp, udp }} ct direction reply ct status dnat ct original proto-dst {2} "
      "ip saddr . meta l4proto . th sport != @live counter drop\n",
      wish.tunnel, wish.lan, ports);
  // Forwarding is on for our sake only: nobody may use this machine as a router.
  if (!wish.forwards_already) {
    pass += fmt::format(
        "    iifname \"{1}\" ct direction original counter drop\n"
        "    iifname \"{0}\" oifname != \"{1}\" ct status dnat accept\n"
        "    iifname \"{0}\" oifname != \"{1}\" counter drop\n",
        wish.tunnel, wish.lan);
  }
  std::string leave;
  if (wish.hide_visitors) {
    leave = fmt::format(
        "  chain leave {{\n    type nat hook postrouting priority 99; policy accept;\n"
        "    oifname \"{}\" meta l4proto {{ tcp, udp }} ct status dnat ct original proto-dst {} masquerade\n  }}\n",
        wish.lan, ports);
  }
  return fmt::format(
      "table inet {0}\ndelete table inet {0}\ntable inet {0} {{\n"
      "  map {6} {{ type inet_proto . inet_service : ipv4_addr . inet_service; flags timeout; size {7}; }}\n"
      "  set {8} {{ type ipv4_addr . inet_proto . inet_service; flags timeout; size {7}; }}\n"
      "  chain arrive {{\n    type nat hook prerouting priority -101; policy accept;\n"
      "    iifname \"{1}\" ip daddr {2} th dport {3} dnat ip to meta l4proto . th dport map @{6}\n  }}\n"
      "  chain pass {{\n    type filter hook forward priority -1; policy accept;\n{4}  }}\n{5}}}\n",
      share_table_name(wish.tunnel), wish.tunnel, to_string(wish.tunnel_v4), ports, pass, leave, lead_map, relayed_max * 2, live_set);
}

Result<LanRedirect> LanRedirect::open(std::string tunnel, std::string note_path) {
  auto table = system::NftTable::open(share_table_name(tunnel));
  if (!table) return fail(table.error());
  return LanRedirect(std::move(*table), std::move(tunnel), std::move(note_path));
}

Result<bool> LanRedirect::clear(const std::string& tunnel, const std::string& note_path) {
  bool found = false;
  if (std::ifstream note(note_path); note) {
    std::string interface;
    note >> interface;
    // Only an interface's forwarding: the file is not a way to write anywhere else.
    if (check_interface_name(interface)) (void)system::write_sysctl(forwarding_of(interface), "0");
    ::unlink(note_path.c_str());
    found = true;
  }
  const auto table = share_table_name(tunnel);
  const auto present = nft({"nft", "list", "table", "inet", table}, {});
  if (!present || present->exit_code != 0) return found;
  const auto removed = nft({"nft", "-f", "-"}, fmt::format("table inet {0}\ndelete table inet {0}\n", table));
  if (!removed) return fail(removed.error());
  if (removed->exit_code != 0)
    return fail(failure("nft_failed",
                        fmt::format("removing the table inet {}: nft said: {}", table, removed->err.substr(0, removed->err.find('\n')))));
  return true;
}

bool LanRedirect::forwards(const std::string& interface) {
  const auto value = system::read_sysctl(forwarding_of(interface));
  return value && *value == "1";
}

Status LanRedirect::start(const LanWish& wish) {
  tunnel_v4_ = wish.tunnel_v4;
  const auto applied = nft({"nft", "-f", "-"}, share_ruleset(wish));
  if (!applied) return fail(applied.error());
  if (applied->exit_code != 0)
    return fail(failure(
        "nft_failed",
        fmt::format("setting up the rules for sharing with {}: nft said: {}", wish.lan, applied->err.substr(0, applied->err.find('\n'))),
        "Does this kernel have nf_tables with NAT?"));
  if (!wish.forwards_already) {
    if (auto noted = replace_file(note_path_, wish.lan + "\n"); !noted) return noted;
    if (auto set = system::write_sysctl(forwarding_of(wish.lan), "1"); !set) return set;
  }
  return system::write_sysctl(forwarding_of(wish.tunnel), "1");
}

Status LanRedirect::put(const RelayRedirection& redirection, Duration lifetime) {
  const auto timeout = std::chrono::ceil<std::chrono::milliseconds>(lifetime);
  NftElement lead;
  lead.key = lead_key(redirection);
  lead.data = NftData().address(redirection.machine.address).port(redirection.machine.port);
  lead.timeout = timeout;
  NftElement live;
  live.key = live_key(redirection);
  live.timeout = timeout;
  const auto attempt = fmt::format("lead port {} to {}", to_string(redirection.relay_port), to_string(redirection.machine));
  const auto present = table_.find(std::string(lead_map), lead.key);
  if (!present) return fail(present.error());
  const auto add = [&](NftBatch& batch) -> Status {
    if (auto added = batch.add(lead_map, {lead}); !added) return added;
    return batch.add(live_set, {live});
  };
  NftBatch batch(table_.name());
  if (*present && (*present)->data == lead.data) {  // in one step, so that no visitor falls between
    batch.remove(lead_map, {lead.key});
    batch.remove(live_set, {live.key});
    if (auto added = add(batch); !added) return added;
    const auto renewed = table_.apply(batch, attempt);
    if (renewed || !system::is_errno(renewed.error(), ENOENT)) return renewed;
  }
  // It leads elsewhere, or a part of it has ended in this moment.
  for (const auto& [set, key] : {std::pair(lead_map, lead.key), std::pair(live_set, live.key)}) {
    NftBatch old(table_.name());
    old.remove(set, {key});
    if (const auto removed = table_.apply(old, attempt); !removed && !system::is_errno(removed.error(), ENOENT)) return removed;
  }
  end_connections(redirection);
  NftBatch fresh(table_.name());
  if (auto added = add(fresh); !added) return added;
  return table_.apply(fresh, attempt);
}

Status LanRedirect::remove(const RelayRedirection& redirection) {
  Status result;
  for (const auto& [set, key] : {std::pair(lead_map, lead_key(redirection)), std::pair(live_set, live_key(redirection))}) {
    NftBatch batch(table_.name());
    batch.remove(set, {key});
    const auto removed = table_.apply(batch, fmt::format("end the way from port {}", to_string(redirection.relay_port)));
    if (!removed && !system::is_errno(removed.error(), ENOENT)) result = removed;
  }
  end_connections(redirection);
  return result;
}

// Their translation was decided when they began; what comes later must be looked at again.
void LanRedirect::end_connections(const RelayRedirection& redirection) {
  auto connections = system::Conntrack::open();
  if (!connections) return;  // the set `live` stops them as well
  const Endpoint at{tunnel_v4_, redirection.relay_port};
  (void)connections->delete_where([&](const system::ConntrackEntry& entry) {
    return entry.original.destination == at && entry.original.protocol == static_cast<std::uint8_t>(redirection.protocol);
  });
}

}  // namespace drpf::client
