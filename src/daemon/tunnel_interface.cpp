#include "daemon/tunnel_interface.h"

#include <algorithm>

#include "system/sysctl.h"

namespace drpf::daemon {
namespace {

constexpr std::uint32_t last_resort_metric = 4'000'000'000;  // behind every route that anybody sets
constexpr std::uint32_t connected_metric_v6 = 256;           // what the kernel gives routes of addresses

}  // namespace

TunnelInterface::TunnelInterface(std::string name, Prefix v4, std::optional<Prefix> v6, Carries carries)
    : name_(std::move(name)), prefixes_{v4}, carries_(carries) {
  if (v6) prefixes_.push_back(*v6);
  const bool whole = carries_ == Carries::whole_prefixes;
  for (const auto& prefix : prefixes_) addresses_.emplace_back(prefix.nth(1), whole ? prefix.length() : prefix.nth(1).bits());
}

std::vector<system::Route> TunnelInterface::blackholes() const {
  std::vector<system::Route> out;
  for (const auto& prefix : prefixes_) {
    system::Route nowhere;
    nowhere.type = system::RouteType::blackhole;
    nowhere.metric = last_resort_metric;
    nowhere.destination = prefix;
    out.push_back(nowhere);
  }
  return out;
}

std::vector<system::Route> TunnelInterface::routes() const {
  std::vector<system::Route> out;
  for (const auto& device : led_) out.push_back(route_to(device));
  if (carries_ != Carries::whole_prefixes) return out;
  for (const auto& prefix : prefixes_) {
    system::Route route;
    route.destination = prefix;
    route.interface = name_;
    if (prefix.family() == Family::v4)
      route.source = prefix.nth(1);
    else
      route.metric = connected_metric_v6;
    out.push_back(route);
  }
  return out;
}

system::Route TunnelInterface::route_to(const Prefix& device) const {
  system::Route route;
  route.destination = device;
  route.interface = name_;
  if (device.family() == Family::v4) route.source = prefixes_.front().nth(1);
  return route;
}

Status TunnelInterface::lead_here(const Prefix& device, system::LinksAndRoutes& network) {
  led_.insert(device);
  return network.put_route(route_to(device));
}

Status TunnelInterface::lead_away(const Prefix& device, system::LinksAndRoutes& network) {
  led_.erase(device);
  return network.remove_route(route_to(device));
}

Status TunnelInterface::put_blackholes(system::LinksAndRoutes& network) const {
  for (const auto& route : blackholes())
    if (auto put = network.put_route(route); !put) return put;
  return {};
}

Status TunnelInterface::remove_other_blackholes(system::LinksAndRoutes& network) const {
  for (const auto family : {Family::v4, Family::v6}) {
    const auto present = network.routes(family);
    if (!present) return fail(present.error());
    for (const auto& route : *present) {
      if (route.type != system::RouteType::blackhole || route.metric != last_resort_metric) continue;
      if (std::find(prefixes_.begin(), prefixes_.end(), route.destination) != prefixes_.end()) continue;
      if (auto removed = network.remove_route(route); !removed) return removed;
    }
  }
  return {};
}

Status TunnelInterface::put_up(system::LinksAndRoutes& network) {
  const auto link = network.link(name_);
  if (!link) return fail(link.error());
  index_ = link->index;
  // Leased packets keep their visitors' addresses, which are not reached through the tunnel: strict reverse-path filtering would drop them.
  auto in_sysctl = name_;
  std::replace(in_sysctl.begin(), in_sysctl.end(), '.', '/');  // as sysctl(8) writes the dots of a name
  if (auto written = system::write_sysctl("net.ipv4.conf." + in_sysctl + ".rp_filter", "0"); !written) return written;
  for (const auto& [address, length] : addresses_)
    if (auto added = network.add_address(name_, address, length); !added) return added;
  system::LinkChange link_up;
  link_up.up = true;
  return network.change_link(name_, link_up);
}

Status TunnelInterface::add_address(const Address& address, unsigned length, system::LinksAndRoutes& network) {
  const auto entry = std::pair(address, length);
  if (std::find(addresses_.begin(), addresses_.end(), entry) == addresses_.end()) addresses_.push_back(entry);
  if (make_again_ && !is_ours(network.link(name_))) return {};  // it comes with the interface
  return network.add_address(name_, address, length);
}

Result<TunnelInterface::Repaired> TunnelInterface::repair(system::LinksAndRoutes& network) {
  Repaired repaired;
  for (const auto& route : blackholes()) {
    const auto missing = network.ensure_route(route);
    if (!missing) return fail(missing.error());
    if (*missing) ++repaired.routes;
  }
  auto link = network.link(name_);
  if (!link && link.error().kind != Error::Kind::not_found) return fail(link.error());
  if (make_again_ && !is_ours(link)) {  // deleted, renamed, or set into another namespace
    if (auto made = make_again_(index_); !made) return fail(made.error());
    if (!index_before_) index_before_ = index_;
    if (auto up = put_up(network); !up) return fail(up.error());
    link = network.link(name_);
  }
  if (!link) return repaired;
  if (!link->up) {
    system::LinkChange link_up;
    link_up.up = true;
    if (auto up = network.change_link(name_, link_up); !up) return fail(up.error());
    repaired.link = true;
  }
  const auto present = network.addresses_of(name_);
  if (!present) return fail(present.error());
  for (const auto& [address, length] : addresses_) {
    const bool there =
        std::any_of(present->begin(), present->end(), [&, wanted = address](const auto& one) { return one.address == wanted; });
    if (there) continue;
    if (auto added = network.add_address(name_, address, length); !added) return fail(added.error());
    ++repaired.addresses;
  }
  for (const auto& route : routes()) {
    const auto missing = network.ensure_route(route);
    if (!missing) return fail(missing.error());
    if (*missing) ++repaired.routes;
  }
  if (index_before_) {
    repaired.made = true;
    repaired.moved = *index_before_ != index_;
    index_before_.reset();
  }
  return repaired;
}

}  // namespace drpf::daemon
