// Ports of one protocol, and what is left of many when those that touch are put together. Pure.
#pragma once

#include <compare>
#include <string>
#include <vector>

#include "core/port.h"

namespace drpf::firewall {

struct ServicePorts {
  Protocol protocol{};
  PortRange ports{Port{1}};
  auto operator<=>(const ServicePorts&) const = default;
};
std::string to_string(const ServicePorts& ports);  // "6881-6889/udp"
// Ascending, none that touches another of its protocol.
std::vector<ServicePorts> merged(std::vector<ServicePorts> ports);

}  // namespace drpf::firewall
