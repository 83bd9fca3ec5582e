#include "configuration/changed_keys.h"

#include <string_view>

namespace drpf::configuration {

std::vector<std::string> changed_keys(const Configuration& before, const Configuration& after) {
  std::vector<std::string> names;
  const auto compare = [&](std::string_view name, const auto& member) {
    if (!(member(before) == member(after))) names.emplace_back(name);
  };
  const auto field = [](auto pointer) { return [pointer](const Configuration& one) -> const auto& { return one.*pointer; }; };
  const auto limit = [](auto pointer) { return [pointer](const Configuration& one) -> const auto& { return one.limits.*pointer; }; };
  using C = Configuration;
  compare("[[host]]", field(&C::hosts));
  compare("[entry] ipv4", field(&C::entry_v4));
  compare("[entry] ipv6", field(&C::entry_v6));
  compare("[entry] name", field(&C::endpoint_name));
  compare("[tunnel] engine", field(&C::engine));
  compare("[tunnel] interface", field(&C::tunnel_interface));
  compare("[tunnel] ipv4", field(&C::tunnel_v4));
  compare("[tunnel] ipv6", field(&C::tunnel_v6));
  compare("[tunnel] wireguard_port", field(&C::wireguard_port));
  compare("[tunnel] mtu", field(&C::mtu));
  compare("[tunnel] offload", field(&C::offload));
  compare("[tunnel] crypto_workers", field(&C::crypto_workers));
  compare("[tunnel] dns", field(&C::dns));
  compare("[tunnel] disconnect_after", field(&C::disconnect_after));
  compare("[ports] pool", field(&C::pool));
  compare("[ports] snat", field(&C::snat));
  compare("[ports] ephemeral", field(&C::ephemeral));
  compare("[ports] reserved", field(&C::reserved));
  compare("[ports] services_tcp", field(&C::input_tcp));
  compare("[ports] services_udp", field(&C::input_udp));
  compare("[[plan]]", field(&C::plans));
  compare("[leases] default_plan", field(&C::default_plan));
  compare("[leases] grace", field(&C::grace));
  compare("[leases] quarantine", field(&C::quarantine));
  compare("[leases] history", field(&C::history));
  compare("[api] port", field(&C::api_port));
  compare("[api] upnp", field(&C::upnp));
  compare("[audit] every", field(&C::audit_every));
  compare("[limits] connections_per_device", limit(&Limits::connections_per_device));
  compare("[limits] packets_per_lease_per_s", limit(&Limits::packets_per_lease_per_s));
  compare("[limits] connection_table_alarm", limit(&Limits::connection_table_alarm));
  compare("[limits] requests_per_device_per_s", limit(&Limits::requests_per_device_per_s));
  compare("[limits] accounts_max", limit(&Limits::accounts_max));
  compare("[limits] devices_per_account_max", limit(&Limits::devices_per_account_max));
  compare("[limits] api_body_max", limit(&Limits::api_body_max));
  compare("[limits] api_connections_max", limit(&Limits::api_connections_max));
  compare("[daemon] user", field(&C::user));
  return names;
}

}  // namespace drpf::configuration
