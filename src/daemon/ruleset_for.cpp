#include "daemon/ruleset_for.h"

#include <algorithm>

#include "daemon/probe_interface.h"
#include "daemon/ways_in.h"

namespace drpf::daemon {

firewall::GatewayRuleset ruleset_for(const configuration::Setup& setup) {
  const auto& configuration = setup.configuration;
  firewall::GatewayRuleset ruleset;
  bool shares_address = !configuration.entry_v4 && !configuration.entry_v6;
  for (const auto& found : setup.hosts) {
    ruleset.hosts.push_back(found.host);
    for (const auto& interface : found.interfaces)
      if (std::find(ruleset.public_interfaces.begin(), ruleset.public_interfaces.end(), interface) == ruleset.public_interfaces.end())
        ruleset.public_interfaces.push_back(interface);
    if ((configuration.entry_v4 && configuration.entry_v4 == found.host.v4) ||
        (configuration.entry_v6 && configuration.entry_v6 == found.host.v6))
      shares_address = true;
  }
  ruleset.entry_shares_lease_address = shares_address;
  ruleset.tunnel_interfaces = tunnel_interfaces(configuration);
  ruleset.tunnel_v4 = configuration.tunnel_v4;
  ruleset.tunnel_v6 = configuration.tunnel_v6;
  ruleset.pool = configuration.pool;
  ruleset.snat = configuration.snat;
  ruleset.probe = ProbeInterface::door();
  ruleset.wireguard_port = configuration.wireguard_port;
  ruleset.api_port = configuration.api_port;
  ruleset.upnp = configuration.upnp;
  if (const auto& openvpn = configuration.openvpn; openvpn.enabled) {
    if (openvpn.protocol == Protocol::udp)
      ruleset.more_tunnel_ports_udp.push_back(openvpn.port);
    else
      ruleset.input_tcp.emplace_back(openvpn.port);
  }
  for (const auto port : configuration.input_tcp) ruleset.input_tcp.emplace_back(port);
  for (const auto port : configuration.input_udp) ruleset.input_udp.emplace_back(port);
  ruleset.proxy = {configuration.proxy.listen, setup.proxy_sources};
  ruleset.open_networks = configuration.private_networks;
  for (const auto& server : configuration.dns) ruleset.open_networks.push_back(Prefix::host(server));  // devices are told to ask them
  ruleset.connections_per_device = configuration.limits.connections_per_device;
  ruleset.new_connections_per_lease_per_s = configuration.limits.packets_per_lease_per_s;
  ruleset.requests_per_device_per_s = configuration.limits.requests_per_device_per_s;
  return ruleset;
}

}  // namespace drpf::daemon
