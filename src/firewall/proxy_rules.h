// Who comes to the proxy beside the gateway, as rules. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/address.h"
#include "firewall/gateway_ruleset.h"

namespace drpf::firewall {

// Of the listeners on addresses of this prefix of the tunnel: "3128, 1080"; empty where there is none.
std::string proxy_ports(const GatewayRuleset& ruleset, const Prefix& tunnel);
// Name and text, for local networks: from those that may, to exactly those addresses and ports.
std::vector<std::pair<std::string, std::string>> proxy_rules(const GatewayRuleset& ruleset);

}  // namespace drpf::firewall
