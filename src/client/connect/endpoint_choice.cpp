#include "client/connect/endpoint_choice.h"

#include <algorithm>

#include <fmt/format.h>

namespace drpf::client {
namespace {

const Address broadcast = Address::v4(0xffff'ffff);

// The network whose packets the plan leads into the tunnel, the tunnel's own among them.
std::optional<Prefix> led_inside(const Address& address, const RoutePlan& plan) {
  for (const auto& route : plan.routes)
    if (route.table == main_table && !route.last_resort && !route.gateway && route.to.contains(address)) return route.to;
  for (const auto& rule : plan.rules)
    if (rule.to && rule.table != main_table && rule.to->contains(address)) return rule.to;
  return std::nullopt;
}

}  // namespace

std::optional<std::string> why_no_endpoint(const Address& address, const RoutePlan& plan, const std::vector<Address>& own, bool literal) {
  if (address.is_unspecified() || address.is_multicast() || address == broadcast) return "it is no address of a machine";
  if (address.is_v6() && address.is_link_local()) return "a link-local address has a meaning on its own link only";
  if (address.is_loopback()) return literal ? std::nullopt : std::optional<std::string>("it is this machine itself");
  if (std::any_of(plan.addresses.begin(), plan.addresses.end(), [&](const auto& one) { return one.address == address; }))
    return "it is this device's address inside the tunnel";
  if (std::find(own.begin(), own.end(), address) != own.end()) return "it is this machine's own address";
  if (const auto inside = led_inside(address, plan))
    return fmt::format("AllowedIPs lead {} into the tunnel, so the tunnel's own packets would never leave", to_string(*inside));
  return std::nullopt;
}

Result<std::vector<Endpoint>> usable_endpoints(const protocol::wireguard::PeerHost& host, const std::vector<Endpoint>& found,
                                               const RoutePlan& plan, const std::vector<Address>& own) {
  const bool literal = parse_address(host.host).has_value();
  std::vector<Endpoint> usable;
  std::string first;
  for (const auto& endpoint : found) {
    if (usable.size() == endpoints_max) break;
    const auto why = why_no_endpoint(endpoint.address, plan, own, literal);
    if (!why)
      usable.push_back(endpoint);
    else if (first.empty())
      first = fmt::format("{}{} cannot be the gateway's: {}", literal ? "" : host.host + " leads to ", to_string(endpoint.address), *why);
  }
  if (!usable.empty()) return usable;
  return fail(invalid("endpoint_impossible", first.empty() ? host.host + " leads nowhere" : std::move(first),
                      "Put the gateway's public address or name under Endpoint, and take it out of AllowedIPs."));
}

}  // namespace drpf::client
