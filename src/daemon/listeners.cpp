#include "daemon/listeners.h"

#include <unistd.h>

#include <algorithm>

#include "system/links_and_routes.h"
#include "system/processes.h"

namespace drpf::daemon {

std::vector<configuration::Listener> reachable_listeners(const std::vector<system::OwnedSocket>& sockets, const Surroundings& around,
                                                         const configuration::Configuration& configuration) {
  std::vector<configuration::Listener> listeners;
  for (const auto& socket : sockets) {
    const auto& [protocol, local] = socket.listening;
    if (around.own_sockets.contains(socket.inode)) continue;
    if (socket.interface != 0 && !around.public_interfaces.contains(socket.interface)) continue;
    if (local.address.is_loopback() || configuration.tunnel_v4.contains(local.address)) continue;
    if (configuration.tunnel_v6 && configuration.tunnel_v6->contains(local.address)) continue;
    if (protocol == Protocol::udp && configuration.ephemeral.contains(local.port)) continue;  // a client's socket, not a service
    listeners.push_back({protocol, local.port});
  }
  std::sort(listeners.begin(), listeners.end());
  listeners.erase(std::unique(listeners.begin(), listeners.end()), listeners.end());
  return listeners;
}

Result<std::vector<configuration::Listener>> reachable_listeners(const configuration::Configuration& configuration,
                                                                 const std::vector<configuration::FoundHost>& hosts) {
  auto diagnosis = system::SocketDiagnosis::open();
  if (!diagnosis) return fail(diagnosis.error());
  const auto sockets = diagnosis->listening();
  if (!sockets) return fail(sockets.error());
  auto network = system::LinksAndRoutes::open();
  if (!network) return fail(network.error());
  const auto links = network->links();
  if (!links) return fail(links.error());
  Surroundings around;
  for (const auto& link : *links)
    for (const auto& found : hosts)
      if (std::find(found.interfaces.begin(), found.interfaces.end(), link.name) != found.interfaces.end())
        around.public_interfaces.insert(static_cast<std::uint32_t>(link.index));
  if (const auto own = system::sockets_of(::getpid())) around.own_sockets.insert(own->begin(), own->end());
  return reachable_listeners(*sockets, around, configuration);
}

}  // namespace drpf::daemon
