// Routing rules that refuse to forward for the tunnel unless our rule set has seen the packet: when another program flushes the rule set,
// nothing is forwarded, instead of everything. They stay when the gateway stops.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "system/links_and_routes.h"

namespace drpf::ruleset {

class DeadMan {
 public:
  DeadMan(std::vector<std::string> tunnel_interfaces, std::optional<Prefix> tunnel_v4, std::optional<Prefix> tunnel_v6)
      : tunnel_interfaces_(std::move(tunnel_interfaces)), tunnel_v4_(tunnel_v4), tunnel_v6_(tunnel_v6) {}

  Result<std::size_t> install() const;  // how many were missing
  Status remove() const;
  std::vector<system::RoutingRule> rules() const;

  // Removes the rules that any gateway has left here, whatever its tunnel was called; but not these.
  Status remove_others() const;
  static Status remove_all() { return DeadMan({}, {}, {}).remove_others(); }

  static constexpr std::uint32_t priority = 100;  // and the two after it

 private:
  std::vector<std::string> tunnel_interfaces_;
  std::optional<Prefix> tunnel_v4_;
  std::optional<Prefix> tunnel_v6_;
};

// Turns forwarding on, for IPv6 only where the tunnel carries it. Keeps public interfaces that learn their IPv6 default route from router
// advertisements doing so, which forwarding would otherwise end.
Status enable_forwarding(const std::vector<std::string>& public_interfaces, bool ipv6);

}  // namespace drpf::ruleset
