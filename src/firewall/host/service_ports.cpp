#include "firewall/host/service_ports.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace drpf::firewall {

std::string to_string(const ServicePorts& ports) { return fmt::format("{}/{}", to_string(ports.ports), to_string(ports.protocol)); }

std::vector<ServicePorts> merged(std::vector<ServicePorts> ports) {
  std::sort(ports.begin(), ports.end());
  std::vector<ServicePorts> out;
  for (const auto& one : ports) {
    const bool touches = !out.empty() && out.back().protocol == one.protocol &&
                         std::uint32_t{out.back().ports.last().value()} + 1 >= one.ports.first().value();
    if (touches)
      out.back().ports = PortRange(out.back().ports.first(), std::max(out.back().ports.last(), one.ports.last()));
    else
      out.push_back(one);
  }
  return out;
}

}  // namespace drpf::firewall
