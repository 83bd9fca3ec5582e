// What the tunnel's interface must have on this host: up, the gateway's addresses, the routes to the devices, and behind them a blackhole,
// so that what is for devices never leaves another way. Puts it there and keeps it there.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "system/links_and_routes.h"

namespace drpf::daemon {

class TunnelInterface {
 public:
  TunnelInterface(std::string name, Prefix v4, std::optional<Prefix> v6);

  bool carries_v6() const { return prefixes_.size() > 1; }
  // Before there is an interface.
  Status put_blackholes(system::LinksAndRoutes& network) const;
  // Those that a gateway with other prefixes has left behind.
  Status remove_other_blackholes(system::LinksAndRoutes& network) const;
  Status put_up(system::LinksAndRoutes& network) const;
  Status add_address(const Address& address, unsigned length, system::LinksAndRoutes& network);

  struct Repaired {
    bool link = false;
    std::size_t addresses = 0;
    std::size_t routes = 0;
  };
  // Nothing while the interface is away.
  Result<Repaired> repair(system::LinksAndRoutes& network) const;

 private:
  std::vector<system::Route> blackholes() const;
  std::vector<system::Route> routes() const;  // as the kernel makes them with the addresses

  std::string name_;
  std::vector<Prefix> prefixes_;
  std::vector<std::pair<Address, unsigned>> addresses_;  // and prefix lengths
};

}  // namespace drpf::daemon
