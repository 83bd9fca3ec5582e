#include "cli/demo/picture.h"

#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "cli/demo/topology.h"

namespace drpf::cli::demo {

std::string draw_topology() {
  return fmt::format(
      "                  ┌──────────────────────────────┐\n"
      "                  │ Internet host  {:<13} │\n"
      "                  └──┬────────────┬───────────┬──┘\n"
      "  ┌──────────────────┴─┐ ┌────────┴─────────┐ ┌─┴──────────────────┐\n"
      "  │ NAT   {:<12} │ │ drpf gateway     │ │ NAT   {:<12} │\n"
      "  ├────────────────────┤ │ {:<16} │ ├────────────────────┤\n"
      "  │ home 1             │ └───╥──────────╥───┘ │ home 2             │\n"
      "  │ drpf connect ══════╪═════╝          ╚═════╪═ wireguard-go      │\n"
      "  │ nginx socat dovecot│      two tunnels     │ nginx socat        │\n"
      "  └────────────────────┘                      └────────────────────┘\n",
      visitor_v4, router_1_wan, router_2_wan, gateway_v4);
}

std::string draw_leases(const std::vector<LeaseRow>& rows) {
  // TCP and UDP of one port that do the same are one line.
  using Key = std::tuple<std::string, std::uint16_t, std::uint16_t, std::string, std::string>;
  std::map<Key, std::string> lines;
  for (const LeaseRow& row : rows) {
    std::string& protocols = lines[{row.device, row.public_port, row.local_port, row.local_address, row.state}];
    if (protocols.find(row.protocol) == std::string::npos) protocols += (protocols.empty() ? "" : "+") + row.protocol;
  }
  std::string text = fmt::format("  {:<8} {:<8} {:<8} {:<18} {}\n", "device", "port", "", "goes to", "state");
  for (const auto& [key, protocols] : lines) {
    const auto& [device, public_port, local_port, local_address, state] = key;
    text += fmt::format("  {:<8} {:<8} {:<8} {:<18} {}\n", device, public_port, protocols, fmt::format("{}:{}", local_address, local_port),
                        state);
  }
  return text;
}

}  // namespace drpf::cli::demo
