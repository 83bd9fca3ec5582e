#include "daemon/probe_interface.h"

#include "system/sysctl.h"

namespace drpf::daemon {

firewall::ProbeDoor ProbeInterface::door() {
  static const firewall::ProbeDoor door{name, *parse_address("192.0.2.77"), *parse_address("2001:db8:6472:7066::77")};
  return door;
}

Status ProbeInterface::open(system::LinksAndRoutes& network) {
  auto tun = system::Tun::open({.name = name, .mtu = mtu, .offload = false, .uso = false});
  if (!tun) return fail(tun.error());
  tun_ = std::move(*tun);
  // Nothing is to come out of it but answers. Where this kernel has no IPv6 there is nothing to be told.
  (void)system::write_sysctl(std::string("net.ipv6.conf.") + name + ".addr_gen_mode", "1");
  auto up = put_up(network);
  if (!up) tun_.reset();
  return up;
}

Status ProbeInterface::put_up(system::LinksAndRoutes& network) {
  const auto link = network.link(name);
  if (!link) return fail(link.error());
  index_ = link->index;
  system::LinkChange link_up;
  link_up.up = true;
  if (auto up = network.change_link(name, link_up); !up) return up;
  for (const auto& route : routes())
    if (auto put = network.put_route(route); !put) return put;
  return {};
}

Result<ProbeInterface::Found> ProbeInterface::repair(system::LinksAndRoutes& network) {
  const auto link = network.link(name);
  if (!link && link.error().kind != Error::Kind::not_found) return fail(link.error());
  if (!link || link->index != index_) return Found::gone;
  bool repaired = !link->up;
  if (!link->up)
    if (auto up = put_up(network); !up) return fail(up.error());
  for (const auto& route : routes()) {
    const auto missing = network.ensure_route(route);
    if (!missing) return fail(missing.error());
    repaired = repaired || *missing;
  }
  return repaired ? Found::repaired : Found::as_it_should;
}

std::vector<system::Route> ProbeInterface::routes() const {
  std::vector<system::Route> out;
  for (const auto family : {Family::v4, Family::v6}) {
    if (family == Family::v6 && !carries_v6_) continue;
    system::Route route;
    route.destination = Prefix::host(address(family));
    route.interface = name;
    out.push_back(route);
  }
  return out;
}

}  // namespace drpf::daemon
