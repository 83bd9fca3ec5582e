#include "configuration/keys.h"

#include <array>

namespace drpf::configuration {
namespace {

template <auto member>
constexpr bool same(const Configuration& now, const Configuration& then) {
  return now.*member == then.*member;
}

template <auto member>
constexpr bool same_limit(const Configuration& now, const Configuration& then) {
  return now.limits.*member == then.limits.*member;
}

template <auto member>
constexpr Key live(std::string_view section, std::string_view name) {
  return {section, name, TakenUp::live, same<member>};
}

template <auto member>
constexpr Key restart(std::string_view section, std::string_view name) {
  return {section, name, TakenUp::restart, same<member>};
}

template <auto member>
constexpr Key live_limit(std::string_view name) {
  return {"[limits]", name, TakenUp::live, same_limit<member>};
}

template <auto member>
constexpr bool same_of_proxy(const Configuration& now, const Configuration& then) {
  return now.proxy.*member == then.proxy.*member;
}

template <auto member>
constexpr Key restart_of_proxy(std::string_view name) {
  return {"[proxy]", name, TakenUp::restart, same_of_proxy<member>};
}

template <auto member>
constexpr Key restart_of_limit(std::string_view name) {
  return {"[limits]", name, TakenUp::restart, same_limit<member>};
}

template <auto member>
constexpr bool same_openvpn(const Configuration& now, const Configuration& then) {
  return now.openvpn.*member == then.openvpn.*member;
}

template <auto member>
constexpr Key restart_of_openvpn(std::string_view name) {
  return {"[openvpn]", name, TakenUp::restart, same_openvpn<member>};
}

// Whether a history is kept at all; for how long is taken up live.
constexpr bool is_history_kept_as_before(const Configuration& now, const Configuration& then) {
  return (now.history > Duration::zero()) == (then.history > Duration::zero());
}

using C = Configuration;
constexpr std::array all_keys{
    live<&C::hosts>("[[host]]", "name"),
    live<&C::hosts>("[[host]]", "interfaces"),
    live<&C::hosts>("[[host]]", "ipv4"),
    live<&C::hosts>("[[host]]", "ipv6"),
    live<&C::entry_v4>("[entry]", "ipv4"),
    live<&C::entry_v6>("[entry]", "ipv6"),
    live<&C::endpoint_name>("[entry]", "name"),
    restart<&C::engine>("[tunnel]", "engine"),
    restart<&C::tunnel_interface>("[tunnel]", "interface"),
    restart<&C::tunnel_v4>("[tunnel]", "ipv4"),
    restart<&C::tunnel_v6>("[tunnel]", "ipv6"),
    restart<&C::wireguard_port>("[tunnel]", "wireguard_port"),
    restart<&C::mtu>("[tunnel]", "mtu"),
    restart<&C::offload>("[tunnel]", "offload"),
    restart<&C::crypto_workers>("[tunnel]", "crypto_workers"),
    live<&C::dns>("[tunnel]", "dns"),
    live<&C::private_networks>("[tunnel]", "private_networks"),
    restart<&C::disconnect_after>("[tunnel]", "disconnect_after"),
    restart_of_openvpn<&OpenVpnConfig::enabled>("enabled"),
    restart_of_openvpn<&OpenVpnConfig::interface>("interface"),
    restart_of_openvpn<&OpenVpnConfig::protocol>("protocol"),
    restart_of_openvpn<&OpenVpnConfig::port>("port"),
    live<&C::pool>("[ports]", "pool"),
    live<&C::snat>("[ports]", "snat"),
    live<&C::ephemeral>("[ports]", "ephemeral"),
    live<&C::reserved>("[ports]", "reserved"),
    live<&C::input_tcp>("[ports]", "services_tcp"),
    live<&C::input_udp>("[ports]", "services_udp"),
    live<&C::grace>("[leases]", "grace"),
    live<&C::quarantine>("[leases]", "quarantine"),
    Key{"[leases]", "history", TakenUp::restart, same<&C::history>, is_history_kept_as_before},
    live<&C::default_plan>("[leases]", "default_plan"),
    live<&C::changes_may_end_leases>("[leases]", "changes_may_end"),
    restart<&C::audit_every>("[audit]", "every"),
    live<&C::plans>("[[plan]]", "name"),
    live<&C::plans>("[[plan]]", "ports_max"),
    live<&C::plans>("[[plan]]", "ports_at_connect"),
    live<&C::plans>("[[plan]]", "port_choice"),
    live<&C::plans>("[[plan]]", "lease_lifetime"),
    restart<&C::api_port>("[api]", "port"),
    restart<&C::upnp>("[api]", "upnp"),
    restart_of_proxy<&proxy::Settings::listen>("listen"),
    restart_of_proxy<&proxy::Settings::allow>("allow"),
    restart_of_proxy<&proxy::Settings::reach_private>("reach_private"),
    restart_of_proxy<&proxy::Settings::connect_ports>("connect_ports"),
    restart_of_proxy<&proxy::Settings::udp>("udp"),
    restart_of_proxy<&proxy::Settings::bind_on>("bind_on"),
    restart_of_proxy<&proxy::Settings::access_log>("access_log"),
    restart_of_proxy<&proxy::Settings::answer_timeout>("answer_timeout"),
    live_limit<&Limits::connections_per_device>("connections_per_device"),
    live_limit<&Limits::packets_per_lease_per_s>("packets_per_lease_per_s"),
    live_limit<&Limits::connection_table_alarm>("connection_table_alarm"),
    live_limit<&Limits::accounts_max>("accounts_max"),
    live_limit<&Limits::devices_per_account_max>("devices_per_account_max"),
    live_limit<&Limits::requests_per_device_per_s>("requests_per_device_per_s"),
    restart_of_limit<&Limits::api_body_max>("api_body_max"),
    restart_of_limit<&Limits::api_connections_max>("api_connections_max"),
    restart<&C::user>("[daemon]", "user"),
};

}  // namespace

std::span<const Key> keys() { return all_keys; }

std::vector<std::string> changed_keys(const Configuration& before, const Configuration& after) {
  std::vector<std::string> changed;
  for (const auto& key : all_keys) {
    if (key.same(before, after)) continue;
    // Of tables that there may be several of only the whole list is compared.
    const bool is_list = key.section.starts_with("[[");
    auto name = is_list ? std::string(key.section) : std::string(key.section) + " " + std::string(key.name);
    if (changed.empty() || changed.back() != name) changed.push_back(std::move(name));
  }
  return changed;
}

std::vector<std::string> keys_that_need_a_restart(const Configuration& now, const Configuration& then) {
  std::vector<std::string> changed;
  for (const auto& key : all_keys)
    if (key.taken_up == TakenUp::restart && !(key.held ? key.held : key.same)(now, then))
      changed.push_back(std::string(key.section) + " " + std::string(key.name));
  return changed;
}

}  // namespace drpf::configuration
