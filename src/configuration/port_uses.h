// Which port numbers of this host a configuration takes for what, and by which key: one list for the file's reader and for the gateway's
// proof against the listeners of the host.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "configuration/configuration.h"
#include "core/port.h"
#include "core/result.h"
#include "firewall/port_plan.h"

namespace drpf::configuration {

struct PortOfKey {
  std::string_view section;
  std::string_view key;
  std::string_view what;  // "the pool"
  firewall::PortUse use{};
  PortRange range;
};

std::vector<PortOfKey> ports_of_keys(const Configuration& configuration);

// The same as the claims of a port plan.
std::vector<firewall::PortClaim> port_claims(const Configuration& configuration);

}  // namespace drpf::configuration
