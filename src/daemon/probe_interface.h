// The interface that the gateway's own visits to its leases come from: a TUN device of its own, with a route to the one address that visits
// are made from. To the rule set it is a public one (firewall::ProbeDoor). Sends nothing.
#pragma once

#include <cstdint>
#include <optional>

#include "core/address.h"
#include "core/result.h"
#include "firewall/gateway_ruleset.h"
#include "system/links_and_routes.h"
#include "system/tun.h"

namespace drpf::daemon {

class ProbeInterface {
 public:
  static constexpr const char* name = "drpf-probe";
  static constexpr std::uint16_t mtu = 1280;

  // Of the ranges for documentation (RFC 5737, RFC 3849): nobody on the Internet has them, and unlike private addresses no device takes
  // them for its neighbours.
  static firewall::ProbeDoor door();

  explicit ProbeInterface(bool carries_v6) : carries_v6_(carries_v6) {}

  Status open(system::LinksAndRoutes& network);
  enum class Found : std::uint8_t { as_it_should, repaired, gone };
  // Up, and with its routes. One that is gone stays so until it is closed and opened: its descriptor is being waited for.
  Result<Found> repair(system::LinksAndRoutes& network);

  bool is_open() const { return tun_.has_value(); }
  int fd() const { return tun_ ? tun_->fd() : -1; }
  void close() { tun_.reset(); }
  Address address(Family family) const { return family == Family::v4 ? door().v4 : door().v6; }

 private:
  Status put_up(system::LinksAndRoutes& network);
  std::vector<system::Route> routes() const;

  bool carries_v6_ = false;
  std::optional<system::Tun> tun_;
  int index_ = 0;
};

}  // namespace drpf::daemon
