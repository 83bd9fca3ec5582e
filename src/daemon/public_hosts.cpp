#include "daemon/public_hosts.h"

#include <algorithm>

namespace drpf::daemon {
namespace {

Result<std::vector<std::string>> default_interfaces(system::LinksAndRoutes& network) {
  std::vector<std::string> interfaces;
  for (const auto family : {Family::v4, Family::v6}) {
    const auto route = network.default_route(family);
    if (!route) {
      if (route.error().kind != Error::Kind::not_found) return fail(route.error());
      continue;
    }
    if (route->interface && std::find(interfaces.begin(), interfaces.end(), *route->interface) == interfaces.end())
      interfaces.push_back(*route->interface);
  }
  if (interfaces.empty())
    return fail(unavailable("default_route_missing", "no default route was found, so the public interface is not known",
                            "name it in the configuration: [[host]] interfaces = [\"eth0\"]"));
  return interfaces;
}

Result<std::optional<Address>> first_address(const std::vector<std::string>& interfaces, Family family, system::LinksAndRoutes& network) {
  for (const auto& interface : interfaces) {
    const auto address = network.first_global_address(interface, family);
    if (address) return std::optional(*address);
    if (address.error().kind != Error::Kind::not_found) return fail(address.error());
  }
  return std::optional<Address>{};
}

// Where a configured address lives, so that the operator need not say it twice.
Result<std::vector<std::string>> interfaces_of(const configuration::PublicHostConfig& host, system::LinksAndRoutes& network) {
  std::vector<std::string> interfaces;
  const auto addresses = network.addresses();
  if (!addresses) return fail(addresses.error());
  for (const auto& entry : *addresses)
    if ((entry.address == host.v4 || entry.address == host.v6) &&
        std::find(interfaces.begin(), interfaces.end(), entry.interface) == interfaces.end())
      interfaces.push_back(entry.interface);
  if (interfaces.empty()) return default_interfaces(network);
  return interfaces;
}

}  // namespace

Result<std::vector<configuration::FoundHost>> find_public_hosts(const configuration::Configuration& configuration,
                                                                system::LinksAndRoutes& network) {
  auto configured = configuration.hosts;
  if (configured.empty()) configured.emplace_back();
  std::vector<configuration::FoundHost> hosts;
  for (const auto& host : configured) {
    configuration::FoundHost found;
    found.host.name = host.name;
    found.interfaces = host.interfaces;
    if (found.interfaces.empty()) {
      auto interfaces = host.v4 || host.v6 ? interfaces_of(host, network) : default_interfaces(network);
      if (!interfaces) return fail(interfaces.error());
      found.interfaces = std::move(*interfaces);
    }
    found.host.v4 = host.v4;
    found.host.v6 = host.v6;
    if (!host.v4 && !host.v6) {
      const auto v4 = first_address(found.interfaces, Family::v4, network);
      if (!v4) return fail(v4.error());
      const auto v6 = first_address(found.interfaces, Family::v6, network);
      if (!v6) return fail(v6.error());
      found.host.v4 = *v4;
      found.host.v6 = *v6;
    }
    if (!found.host.v4 && !found.host.v6)
      return fail(unavailable("public_address_missing",
                              "the public host '" + host.name + "' has no global address on " + found.interfaces.front(),
                              "name one in the configuration: [[host]] ipv4 = \"198.51.100.7\""));
    hosts.push_back(std::move(found));
  }
  return hosts;
}

}  // namespace drpf::daemon
