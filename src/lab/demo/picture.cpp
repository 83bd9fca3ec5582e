#include "lab/demo/picture.h"

#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lab/demo/topology.h"
#include "terminal/terminal.h"

namespace drpf::lab::demo {
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

std::string draw_leases(const std::vector<LeaseRow>& rows, bool colour) {
  // First all that is leased of one port, then ports side by side that lead to as many ports side by side.
  struct Line {
    std::set<std::string> protocols;
    std::set<std::string> addresses;
  };
  std::map<std::tuple<std::string, std::string, std::uint16_t, std::uint16_t>, Line> of_port;  // device, state, public, local
  for (const LeaseRow& row : rows) {
    Line& line = of_port[{row.device, row.state, row.public_port, row.local_port}];
    line.protocols.insert(row.protocol);
    line.addresses.insert(row.local_address);
  }
  terminal::Table table({"DEVICE", "PUBLIC PORTS", "PROTOCOLS", "LEAD TO PORTS", "OF", "STATE"});
  for (auto first = of_port.begin(); first != of_port.end();) {
    const auto& [device, state, public_port, local_port] = first->first;
    const Line& line = first->second;
    int count = 1;
    auto next = std::next(first);
    while (next != of_port.end() && next->first == std::tuple(device, state, public_port + count, local_port + count) &&
           next->second.protocols == line.protocols && next->second.addresses == line.addresses) {
      ++next;
      ++count;
    }
    const auto say = [count](int port) { return count == 1 ? fmt::format("{}", port) : fmt::format("{}-{}", port, port + count - 1); };
    table.add({{device},
               {say(public_port)},
               {fmt::format("{}", fmt::join(line.protocols, "+"))},
               {say(local_port)},
               {fmt::format("{}", fmt::join(line.addresses, " "))},
               {state, state == "active" ? terminal::Colour::green : terminal::Colour::yellow}});
    first = next;
  }
  return table.text(colour);
}

}  // namespace drpf::lab::demo
