// What the tunnel's interface must have on this host: up, the gateway's addresses, the routes to the devices, and behind them a blackhole,
// so that what is for devices never leaves another way. Puts it there and keeps it there.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "system/links_and_routes.h"

namespace drpf::daemon {

class TunnelInterface {
 public:
  // One interface of a gateway carries the whole prefixes; the others what is led to them, device by device.
  enum class Carries : std::uint8_t { whole_prefixes, devices_led_here };
  TunnelInterface(std::string name, Prefix v4, std::optional<Prefix> v6, Carries carries = Carries::whole_prefixes);

  bool carries_v6() const { return prefixes_.size() > 1; }
  // Before there is an interface.
  Status put_blackholes(system::LinksAndRoutes& network) const;
  // Those that a gateway with other prefixes has left behind.
  Status remove_other_blackholes(system::LinksAndRoutes& network) const;
  Status put_up(system::LinksAndRoutes& network);
  // How there is an interface again when somebody has deleted this one: with the index that it had, if nobody has that by then. Without it
  // an interface that is gone stays away.
  using MakeAgain = std::function<Status(int index)>;
  void made_again_by(MakeAgain make_again) { make_again_ = std::move(make_again); }
  Status add_address(const Address& address, unsigned length, system::LinksAndRoutes& network);
  // Packets for this device go to this interface, or no more; kept so by repair().
  Status lead_here(const Prefix& device, system::LinksAndRoutes& network);
  Status lead_away(const Prefix& device, system::LinksAndRoutes& network);

  struct Repaired {
    bool made = false;   // it was gone, and is another one now
    bool moved = false;  // with another index: what is bound to the interface has to be bound again
    bool link = false;
    std::size_t addresses = 0;
    std::size_t routes = 0;
  };
  Result<Repaired> repair(system::LinksAndRoutes& network);

 private:
  bool is_ours(const Result<system::Link>& link) const { return link && link->index == index_; }
  std::vector<system::Route> blackholes() const;
  std::vector<system::Route> routes() const;  // as the kernel makes them with the addresses, and those to devices that were led here
  system::Route route_to(const Prefix& device) const;

  std::string name_;
  std::vector<Prefix> prefixes_;
  Carries carries_;
  std::set<Prefix> led_;
  std::vector<std::pair<Address, unsigned>> addresses_;  // and prefix lengths
  MakeAgain make_again_;
  int index_ = 0;
  std::optional<int> index_before_;  // it was made again, and not everything is in place yet
};

}  // namespace drpf::daemon
