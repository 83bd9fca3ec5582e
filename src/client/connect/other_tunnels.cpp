#include "client/connect/other_tunnels.h"

#include <algorithm>

#include <fmt/format.h>

#include "system/links_and_routes.h"
#include "system/nft_table.h"

namespace drpf::client {
namespace {

// Where the firewall may not be looked at, the addresses tell.
std::vector<std::string> connected_names(const std::string& own) {
  std::vector<std::string> out;
  auto table = system::NftTable::open(firewall_table_name(own));
  const auto names = table ? table->names_of_others() : Result<std::vector<std::string>>();
  if (!names) return out;
  for (const auto& name : *names)
    if (name.starts_with(firewall_table_prefix)) out.push_back(name.substr(firewall_table_prefix.size()));
  return out;
}

}  // namespace

Result<std::vector<OtherTunnel>> other_tunnels(const std::string& own) {
  auto kernel = system::LinksAndRoutes::open();
  if (!kernel) return fail(kernel.error());
  std::vector<OtherTunnel> out;
  const auto named = [&](const std::string& name) -> OtherTunnel& {
    const auto found = std::find_if(out.begin(), out.end(), [&](const auto& one) { return one.name == name; });
    return found == out.end() ? out.emplace_back(OtherTunnel{name, {}, false, false}) : *found;
  };
  const auto addresses = kernel->addresses();
  if (!addresses) return fail(addresses.error());
  for (const auto& address : *addresses)
    if (address.interface != "lo" && address.interface != own) named(address.interface).addresses.push_back(address.address);
  for (const auto& name : connected_names(own)) named(name).is_connect = true;
  for (const auto family : {Family::v4, Family::v6}) {
    const auto rules = kernel->rules(family);
    if (!rules) continue;  // a machine without this family
    for (auto& other : out) {
      if (!other.is_connect) continue;
      for (const auto& rule : *rules) {
        if (rule.table != own_table(other.name)) continue;
        if (rule.inverted) other.takes_everything = true;
        if (rule.from) other.addresses.push_back(rule.from->address());
      }
    }
  }
  return out;
}

Status check_beside(const RoutePlan& plan, const std::vector<OtherTunnel>& others) {
  for (const auto& other : others) {
    for (const auto& own : plan.addresses) {
      if (std::find(other.addresses.begin(), other.addresses.end(), own.address) == other.addresses.end()) continue;
      return fail(refusal(
          "address_in_use",
          fmt::format("{} is the address of {} already: the gateways of {} and {} have given this device the same one, and their visitors' "
                      "answers could not be told apart",
                      to_string(own.address), other.name, other.name, plan.interface),
          fmt::format(
              "Give one of the gateways other tunnel addresses ([tunnel] {} in its drpf.toml) and print this device's file anew there "
              "(drpf device config), or end {} first.",
              own.address.is_v4() ? "ipv4" : "ipv6", other.name)));
    }
    if (other.is_connect && other.takes_everything && plan.full_tunnel)
      return fail(
          refusal("full_tunnel_in_use",
                  fmt::format("{} carries all traffic of this machine already, and {} is to carry it, too", other.name, plan.interface),
                  fmt::format("Use --inbound-only for one of them, or end {0} first (where it is not running: drpf connect {0} "
                              "--clean-up).",
                              other.name)));
    if (other.is_connect && own_table(other.name) == own_table(plan.interface))
      return fail(refusal("interface_name_collides",
                          fmt::format("the names {} and {} lead to the same routing table", other.name, plan.interface),
                          "Use another name: --interface NAME."));
  }
  return {};
}

}  // namespace drpf::client
