#include "daemon/gateway_host.h"

#include <spdlog/logger.h>

#include "daemon/listener_warnings.h"
#include "daemon/prove_configuration.h"
#include "daemon/public_hosts.h"
#include "daemon/ruleset_for.h"
#include "system/sysctl.h"

namespace drpf::daemon {

Result<configuration::Setup> GatewayHost::propose() {
  auto configuration = load_configuration(parts_.config_file, parts_.ssh_ports);
  if (!configuration) return fail(configuration.error());
  if (!configuration->tunnel_v6_named) configuration->tunnel_v6 = parts_.own_tunnel_v6;
  return prove_configuration(*configuration, parts_.network, true);
}

Result<std::vector<configuration::FoundHost>> GatewayHost::find_hosts(const configuration::Configuration& configuration) {
  return find_public_hosts(configuration, parts_.network);
}

Status GatewayHost::put_parameters(const configuration::Setup& setup) {
  return system::write_ephemeral_ports(setup.configuration.ephemeral);
}

Status GatewayHost::put_ruleset(const configuration::Setup& setup, std::span<const lease::Redirection> leases, Time now) {
  return parts_.redirect.change_ruleset(ruleset_for(setup), leases, now);
}

void GatewayHost::adopted(const configuration::Setup& before, const configuration::Setup& now) {
  if (before.configuration != now.configuration || before.listeners != now.listeners)
    warn_of_listeners(now, parts_.gateway.book(), *parts_.log);
  if (before.hosts == now.hosts) return;
  for (const auto& found : now.hosts)
    parts_.log->warn("public host {} is now {}{}{}", found.host.name, found.host.v4 ? to_string(*found.host.v4) : "without IPv4",
                     found.host.v6 ? " and " : "", found.host.v6 ? to_string(*found.host.v6) : "");
  parts_.announce_addresses();
}

}  // namespace drpf::daemon
