// From what the operator configured and what the host has to what the lease book and the firewall work by. Pure.
#pragma once

#include <vector>

#include "configuration/configuration.h"
#include "core/port.h"
#include "core/result.h"
#include "lease/types.h"

namespace drpf::configuration {

// A public host as it was found on this machine: its addresses and the interfaces that visitors come in by.
struct FoundHost {
  lease::PublicHost host;
  std::vector<std::string> interfaces;
  bool operator==(const FoundHost&) const = default;
};

// A socket of this host that listens where strangers could reach it.
struct Listener {
  Protocol protocol{};
  Port port;
  auto operator<=>(const Listener&) const = default;
};

// The book's policy. Ports of listeners inside the pool are occupied: whoever holds one keeps it, and nobody is given one.
lease::Policy make_policy(const Configuration& configuration, const std::vector<FoundHost>& hosts, const std::vector<Listener>& listeners);

// Where a device finds the gateway inside the tunnel: x.y.z.1 of the device's own /24, which programs guess without being told.
Address gateway_address_for(const Address& device_v4);

}  // namespace drpf::configuration
