// What devices can ask for inside the tunnel: the API and UPnP by HTTP, NAT-PMP and PCP, UPnP's search. All of it is bound to the tunnels'
// interfaces, so that it stays closed to the outside even without a rule set. Only the wiring.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/fwd.h>

#include "api/device_api.h"
#include "configuration/configuration.h"
#include "core/result.h"
#include "daemon/port_mapping_door.h"
#include "daemon/upnp_door.h"
#include "gateway/gateway.h"
#include "gateway/port_mappings.h"
#include "net/event_loop.h"
#include "net/http_server.h"

namespace drpf::daemon {

class TunnelDoors {
 public:
  static constexpr std::uint32_t requests_per_address_per_s = 20;  // by HTTP, of each of a device's addresses

  struct Parts {
    gateway::Gateway& gateway;
    gateway::PortMappings& mappings;
    api::DeviceApi& device_api;
    net::EventLoop& loop;
    std::shared_ptr<spdlog::logger> log;
    std::array<std::uint8_t, 32> identity{};  // for UPnP: the gateway's public key
    net::HttpLimits limits;
  };
  // The configuration as it is at the start: what is open then stays so until the next one.
  TunnelDoors(const configuration::Configuration& configuration, Parts parts);
  Status open();
  // A tunnel's interface is another one than before. Sockets go on where its index is the same; groups are forgotten with the interface.
  Status reopen(bool moved);
  void announce_addresses();  // to connected devices, by the protocols that have a message for it

 private:
  Status open_port_mappings();
  void open_upnp_discovery();
  Status open_servers();
  void answer(const net::Request& request, const net::Respond& respond);

  Parts parts_;
  std::vector<std::string> interfaces_;
  Address gateway_v4_;
  std::optional<Address> gateway_v6_;
  Port api_port_;
  std::vector<std::unique_ptr<PortMappingDoor>> port_mappings_;  // one for each tunnel
  std::unique_ptr<UpnpDoor> upnp_;
  std::vector<std::unique_ptr<net::HttpServer>> servers_;
};

}  // namespace drpf::daemon
