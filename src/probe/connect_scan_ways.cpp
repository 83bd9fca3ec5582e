// The ways of the connect scan to its hosts: routes, and what the kernel learns of neighbours while it looks for them.
#include <algorithm>

#include "probe/connect_scan_state.h"
#include "probe/local_trouble.h"

namespace drpf::probe {
namespace {

using scan::Cause;
constexpr Duration neighbour_asked_for = std::chrono::milliseconds(3500);  // by the kernel: three requests, a second apart

}  // namespace

void ConnectScan::read_own_addresses() {
  if (auto lookup = system::RouteLookup::open()) routes_.emplace(std::move(*lookup));
  auto links = system::LinksAndRoutes::open();
  if (!links) return;
  if (auto addresses = links->addresses()) own_ = std::move(*addresses);
}

bool ConnectScan::is_own(const Address& address) const {
  return std::ranges::any_of(own_, [&](const system::InterfaceAddress& own) { return own.address == address; });
}

// Where this machine has no way to a host, its ports are not asked one by one.
void ConnectScan::find_ways() {
  if (!routes_) return;
  for (std::uint32_t host = 0; host < hosts_.size(); ++host) {
    const auto& target = request_.targets[first_target_ + host];
    const auto source = request_.source && request_.source->family() == target.family() ? request_.source : std::nullopt;
    const auto route = routes_->path_to(target, scope_, source);
    if (route) {
      if (!route->gateway && !route->local) hosts_[host].neighbour_on = route->interface_index;
      continue;
    }
    const auto numbers = static_cast<std::uint32_t>(request_.numbers.size());
    for (auto port = host * numbers; port < (host + 1) * numbers; ++port)
      if (!ports_[port].decided)
        decide(port, {.cause = Cause::local_error, .detail = system::errno_of_no_route(route.error()), .note = std::string(no_route_note)});
  }
}

// What the kernel knows by now of the host on its link; not asked anew for each of its ports.
ConnectScan::Host& ConnectScan::look_at_neighbour(std::uint32_t port) {
  auto& host = host_of(port);
  if (host.neighbour_on == 0 || now_ < host.neighbour_looked_at + neighbour_looked_at_every) return host;
  host.neighbour_looked_at = now_;
  const auto known = routes_->known_neighbour(host.neighbour_on, request_.targets[target_of(port)]);
  host.neighbour_asked = known && known->asked;
  host.neighbour_silent = host.neighbour_silent || (known && known->silent);
  return host;
}

// Whether the kernel is still looking for the host: then nothing has been sent to it yet.
bool ConnectScan::neighbour_is_asked(std::uint32_t port) {
  return look_at_neighbour(port).neighbour_asked && now_ <= ports_[port].first_probe + neighbour_asked_for;
}

// Nobody of that address is on the link: the kernel has asked, and has given up or will.
bool ConnectScan::neighbour_is_silent(std::uint32_t port) {
  auto& host = look_at_neighbour(port);
  host.neighbour_silent = (host.neighbour_silent || host.neighbour_asked) && host.loss.samples() == 0;
  return host.neighbour_silent;
}

// In the words of whoever was to carry the probe: the host itself, or the router before it.
const std::string& ConnectScan::silent_neighbour(std::uint32_t port) {
  auto& words = host_of(port).silent_neighbour;
  if (!words.empty()) return words;
  const auto& target = request_.targets[target_of(port)];
  const auto route = routes_ ? routes_->path_to(target, scope_) : Result<system::PathTo>(system::PathTo{});
  const auto link = route ? system::link_kind(route->interface_index) : Result<system::LinkKind>(system::LinkKind{});
  return words = silent_neighbour_note(route ? route->gateway.value_or(target) : target, link ? link->name : "its link");
}

void ConnectScan::tell_neighbours() {
  for (std::size_t host = 0; host < hosts_.size(); ++host) {
    if (hosts_[host].neighbour_on == 0) continue;
    const auto& target = request_.targets[first_target_ + host];
    const auto known = routes_->known_neighbour(hosts_[host].neighbour_on, target);
    if ((known && known->mac) || hosts_[host].neighbour_silent)
      observer_.on_link_answer(first_target_ + host, known ? LinkAnswer{known->mac, known->confirmed} : LinkAnswer{});
  }
}

bool ConnectScan::on_link(const Address& target) const {
  return target.is_loopback() || std::ranges::any_of(own_, [&](const system::InterfaceAddress& own) {
           return own.address.family() == target.family() && Prefix(own.address, own.prefix_length).contains(target);
         });
}

}  // namespace drpf::probe
