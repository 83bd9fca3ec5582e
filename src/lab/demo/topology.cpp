#include "lab/demo/topology.h"

#include <unistd.h>

#include <string>
#include <vector>

#include <fmt/format.h>

namespace drpf::lab::demo {
namespace {

Status connect_cables(const Topology& topology) {
  const Machine &gateway = topology.gateway, &router_1 = topology.router_1, &router_2 = topology.router_2;
  if (const Status done = configure(topology.visitor,
                                    "link set lo up\n" + cable("to-gateway", gateway, "eth0") + cable("to-home-1", router_1, "wan") +
                                        cable("to-home-2", router_2, "wan"),
                                    {&gateway, &router_1, &router_2});
      !done) {
    return done;
  }
  if (const Status done = configure(router_1, "link set lo up\n" + cable("lan", topology.home_1, "eth0"), {&topology.home_1}); !done)
    return done;
  return configure(router_2, "link set lo up\n" + cable("lan", topology.home_2, "eth0"), {&topology.home_2});
}

// `nodad`: the addresses serve at once; there is nobody to have them twice.
Status address_public_side(const Topology& topology) {
  std::string visitor = fmt::format(
      "addr add {}/24 dev to-gateway\naddr add 203.0.113.1/24 dev to-home-1\naddr add 192.0.2.1/24 dev to-home-2\n", visitor_v4);
  std::string gateway = fmt::format("link set lo up\naddr add {}/24 dev eth0\n", gateway_v4);
  std::string routes = fmt::format("route add default via {}\n", visitor_v4);
  if (topology.has_v6) {
    visitor += fmt::format("addr add {}/64 dev to-gateway nodad\n", visitor_v6);
    gateway += fmt::format("addr add {}/64 dev eth0 nodad\n", gateway_v6);
    routes += fmt::format("-6 route add default via {} dev eth0\n", visitor_v6);
  }
  const char* up = "link set to-gateway up\nlink set to-home-1 up\nlink set to-home-2 up\n";
  if (const Status done = configure(topology.visitor, visitor + up); !done) return done;
  if (const Status done = configure(topology.gateway, gateway + "link set eth0 up\n"); !done) return done;
  // iproute2 understands `-6` only as an option of the program, so the IPv6 route has a call of its own.
  const std::size_t v6_route = routes.find("-6 ");
  if (const Status done = configure(topology.gateway, routes.substr(0, v6_route)); !done) return done;
  if (v6_route == std::string::npos) return {};
  const Result<std::string> added = topology.gateway.run({"ip", "-6", "route", "add", "default", "via", visitor_v6, "dev", "eth0"});
  return added ? Status() : fail(added.error());
}

Status address_home(const Machine& router, const char* wan, const std::string& wan_peer, const std::string& lan, const Machine& home,
                    const char* address) {
  const std::string router_lines = fmt::format(
      "addr add {}/24 dev wan\naddr add {}/24 dev lan\nlink set wan up\nlink set lan up\nroute add default via {}\n", wan, lan, wan_peer);
  if (const Status done = configure(router, router_lines); !done) return done;
  const std::string home_lines =
      fmt::format("link set lo up\naddr add {}/24 dev eth0\nlink set eth0 up\nroute add default via {}\n", address, lan);
  if (const Status done = configure(home, home_lines); !done) return done;
  // As a router in a shop: its home goes out under the one public address, and nothing comes in that was not asked for.
  const Result<std::string> loaded = router.run({"nft", "-f", "-"}, R"(table inet router {
  chain input { type filter hook input priority filter; policy drop; ct state established,related accept; iifname != "wan" accept; }
  chain forward { type filter hook forward priority filter; policy drop; ct state established,related accept; iifname "lan" accept; }
  chain out { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
}
)");
  return loaded ? Status() : fail(loaded.error());
}

}  // namespace

Result<Topology> Topology::build() {
  Result<Machine> visitor = Machine::present("the Internet host");
  Result<Machine> gateway = Machine::make("the gateway");
  Result<Machine> router_1 = Machine::make("the router of home 1");
  Result<Machine> home_1 = Machine::make("home 1");
  Result<Machine> router_2 = Machine::make("the router of home 2");
  Result<Machine> home_2 = Machine::make("home 2");
  for (const auto* machine : {&visitor, &gateway, &router_1, &home_1, &router_2, &home_2}) {
    if (!*machine) return fail(machine->error());
  }
  const bool has_v6 = ::access("/proc/sys/net/ipv6", F_OK) == 0;
  Topology topology{
      std::move(*visitor), std::move(*gateway), std::move(*router_1), std::move(*home_1), std::move(*router_2), std::move(*home_2), has_v6};

  const std::string enable_v6 = "net/ipv6/conf/all/disable_ipv6=0";
  // Servers of a home run as nobody and still take standard ports like 110.
  const std::string open_low_ports = "net/ipv4/ip_unprivileged_port_start=0";
  for (const Machine* machine : {&topology.visitor, &topology.gateway, &topology.home_1, &topology.home_2}) {
    std::vector<std::string> settings;
    if (has_v6) settings.push_back(enable_v6);
    if (machine == &topology.visitor) settings.push_back("net/ipv4/ip_forward=1");
    if (machine == &topology.home_1 || machine == &topology.home_2) settings.push_back(open_low_ports);
    if (settings.empty()) continue;
    if (const Status set = set_sysctls(*machine, settings); !set) return fail(set.error());
  }
  for (const Machine* router : {&topology.router_1, &topology.router_2}) {
    if (const Status set = set_sysctls(*router, {"net/ipv4/ip_forward=1"}); !set) return fail(set.error());
  }
  if (const Status done = connect_cables(topology); !done) return fail(done.error());
  if (const Status done = address_public_side(topology); !done) return fail(done.error());
  if (const Status done = address_home(topology.router_1, router_1_wan, "203.0.113.1", "192.168.1.1", topology.home_1, home_1_lan); !done) {
    return fail(done.error());
  }
  if (const Status done = address_home(topology.router_2, router_2_wan, "192.0.2.1", router_2_lan, topology.home_2, home_2_lan); !done) {
    return fail(done.error());
  }
  return topology;
}

}  // namespace drpf::lab::demo
