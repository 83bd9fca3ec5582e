#include "client/share/share_ruleset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "client/share/relayed_mappings.h"

namespace drpf::client {

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
      share_table_name(wish.tunnel), wish.tunnel, to_string(wish.tunnel_v4), ports, pass, leave, share_lead_map, relayed_max * 2,
      share_live_set);
}

}  // namespace drpf::client
