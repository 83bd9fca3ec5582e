// Who comes to the proxy beside the gateway, as rules. Pure.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/address.h"

namespace drpf::firewall {

struct ProxyDoor {
  std::vector<Endpoint> listeners;  // on addresses of the tunnel for devices, on others for a local network
  std::vector<Prefix> sources;      // who may use it
};

// Of the listeners on addresses of this prefix of the tunnel: "3128, 1080"; empty where there is none.
std::string proxy_ports(const ProxyDoor& proxy, const Prefix& tunnel);
// Name and text, for local networks: from those that may, to exactly those addresses and ports, none of which is in the tunnels.
std::vector<std::pair<std::string, std::string>> proxy_rules(const ProxyDoor& proxy, const std::vector<std::optional<Prefix>>& tunnels);

}  // namespace drpf::firewall
