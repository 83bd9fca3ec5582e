#include "daemon/port_mapping_door.h"

#include "configuration/policy.h"

namespace drpf::daemon {

namespace nat_pmp = protocol::nat_pmp;
namespace pcp = protocol::pcp;

PortMappingDoor::PortMappingDoor(gateway::PortMappings& mappings)
    : mappings_(mappings), sockets_(mappings, [&mappings](const std::function<void()>& answer_all) { mappings.together(answer_all); }) {}

void PortMappingDoor::announce(const std::vector<Address>& devices) {
  for (const auto& device : devices) {
    const auto client = mappings_.client(device);
    if (!client) continue;
    const Endpoint to{device, net::PortMappingSockets::announce_port};
    const auto from = device.is_v4() ? configuration::gateway_address_for(device) : Address{};
    if (device.is_v4() && client->external_v4)
      sockets_.send(to, from, nat_pmp::external_address_response(mappings_.epoch_s(), *client->external_v4));
    sockets_.send(to, from, pcp::announce_response(mappings_.epoch_s()));
  }
}

}  // namespace drpf::daemon
