#include "configuration/port_uses.h"

#include <fmt/format.h>

namespace drpf::configuration {

std::vector<PortOfKey> ports_of_keys(const Configuration& configuration) {
  using firewall::PortUse;
  std::vector<PortOfKey> uses = {
      {"ports", "pool", "the pool", PortUse::lease_pool, configuration.pool},
      {"ports", "snat", "the SNAT range", PortUse::snat, configuration.snat},
      {"ports", "ephemeral", "the ephemeral range", PortUse::ephemeral, configuration.ephemeral},
      {"tunnel", "wireguard_port", "WireGuard's port", PortUse::service, PortRange{configuration.wireguard_port}}};
  if (configuration.openvpn.enabled)
    uses.push_back({"openvpn", "port", "OpenVPN's port", PortUse::service, PortRange{configuration.openvpn.port}});
  for (const auto port : configuration.input_tcp)
    uses.push_back({"ports", "services_tcp", "the TCP service", PortUse::service, PortRange{port}});
  for (const auto port : configuration.input_udp)
    uses.push_back({"ports", "services_udp", "the UDP service", PortUse::service, PortRange{port}});
  uses.push_back({"api", "port", "the devices' API", PortUse::service, PortRange{configuration.api_port}});
  return uses;
}

std::vector<firewall::PortClaim> port_claims(const Configuration& configuration) {
  std::vector<firewall::PortClaim> claims;
  for (const auto& one : ports_of_keys(configuration))
    claims.push_back({one.range, one.use, fmt::format("{}, [{}] {}", one.what, one.section, one.key)});
  return claims;
}

}  // namespace drpf::configuration
