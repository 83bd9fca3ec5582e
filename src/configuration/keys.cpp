#include "configuration/keys.h"

#include <array>

namespace drpf::configuration {
namespace {

constexpr Key live(std::string_view section, std::string_view name) { return {section, name, TakenUp::live, nullptr}; }

template <auto member>
constexpr Key restart(std::string_view section, std::string_view name) {
  return {section, name, TakenUp::restart, [](const Configuration& now, const Configuration& then) { return now.*member == then.*member; }};
}

template <auto member>
constexpr Key restart_of_limit(std::string_view name) {
  return {"[limits]", name, TakenUp::restart,
          [](const Configuration& now, const Configuration& then) { return now.limits.*member == then.limits.*member; }};
}

// Whether a history is kept at all; for how long is taken up live.
constexpr Key history{"[leases]", "history", TakenUp::restart, [](const Configuration& now, const Configuration& then) {
                        return (now.history > Duration::zero()) == (then.history > Duration::zero());
                      }};

using C = Configuration;
constexpr std::array all_keys{
    live("[[host]]", "name"),
    live("[[host]]", "interfaces"),
    live("[[host]]", "ipv4"),
    live("[[host]]", "ipv6"),
    live("[entry]", "ipv4"),
    live("[entry]", "ipv6"),
    live("[entry]", "name"),
    restart<&C::engine>("[tunnel]", "engine"),
    restart<&C::tunnel_interface>("[tunnel]", "interface"),
    restart<&C::tunnel_v4>("[tunnel]", "ipv4"),
    restart<&C::tunnel_v6>("[tunnel]", "ipv6"),
    restart<&C::wireguard_port>("[tunnel]", "wireguard_port"),
    restart<&C::mtu>("[tunnel]", "mtu"),
    restart<&C::offload>("[tunnel]", "offload"),
    restart<&C::crypto_workers>("[tunnel]", "crypto_workers"),
    live("[tunnel]", "dns"),
    restart<&C::disconnect_after>("[tunnel]", "disconnect_after"),
    live("[ports]", "pool"),
    live("[ports]", "snat"),
    live("[ports]", "ephemeral"),
    live("[ports]", "reserved"),
    live("[ports]", "services_tcp"),
    live("[ports]", "services_udp"),
    live("[leases]", "grace"),
    live("[leases]", "quarantine"),
    history,
    live("[leases]", "default_plan"),
    live("[leases]", "changes_may_end"),
    restart<&C::audit_every>("[audit]", "every"),
    live("[[plan]]", "name"),
    live("[[plan]]", "ports_max"),
    live("[[plan]]", "ports_at_connect"),
    live("[[plan]]", "port_choice"),
    live("[[plan]]", "lease_lifetime"),
    restart<&C::api_port>("[api]", "port"),
    restart<&C::upnp>("[api]", "upnp"),
    live("[limits]", "connections_per_device"),
    live("[limits]", "packets_per_lease_per_s"),
    live("[limits]", "connection_table_alarm"),
    live("[limits]", "accounts_max"),
    live("[limits]", "devices_per_account_max"),
    live("[limits]", "requests_per_device_per_s"),
    restart_of_limit<&Limits::api_body_max>("api_body_max"),
    restart_of_limit<&Limits::api_connections_max>("api_connections_max"),
    restart<&C::user>("[daemon]", "user"),
};

}  // namespace

std::span<const Key> keys() { return all_keys; }

std::vector<std::string> keys_that_need_a_restart(const Configuration& now, const Configuration& then) {
  std::vector<std::string> changed;
  for (const auto& key : all_keys)
    if (key.taken_up == TakenUp::restart && !key.same(now, then)) changed.push_back(std::string(key.section) + " " + std::string(key.name));
  return changed;
}

}  // namespace drpf::configuration
