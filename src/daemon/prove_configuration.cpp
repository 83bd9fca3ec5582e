#include "daemon/prove_configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "configuration/configuration_file.h"
#include "configuration/port_uses.h"
#include "core/bytes.h"
#include "crypto/wireguard_primitives.h"
#include "daemon/listeners.h"
#include "daemon/public_hosts.h"
#include "daemon/ways_in.h"
#include "firewall/port_plan.h"
#include "lease/validation.h"
#include "proxy/listeners.h"
#include "system/privileges.h"
#include "system/sysctl.h"
#include "system/tun.h"
#include "system/wireguard_link.h"

namespace drpf::daemon {
namespace {

using configuration::Configuration;

constexpr std::array<std::uint8_t, 4> own_prefix_label{'i', 'p', 'v', '6'};
constexpr const char* default_configuration_file = "/etc/drpf/drpf.toml";

Status prove_public_hosts(const Configuration& configuration, const HostFacts& facts) {
  for (const auto& host : configuration.hosts) {
    for (const auto& name : host.interfaces)
      if (std::none_of(facts.links.begin(), facts.links.end(), [&](const auto& link) { return link.name == name; }))
        return fail(unavailable("interface_unknown", fmt::format("[[host]] interfaces: this machine has no interface '{}'", name),
                                "see `ip link` for the names"));
    for (const auto& [key, address] : {std::pair{"ipv4", host.v4}, std::pair{"ipv6", host.v6}})
      if (address && std::none_of(facts.addresses.begin(), facts.addresses.end(),
                                  [&, wanted = *address](const auto& one) { return one.address == wanted; }))
        return fail(unavailable("public_address_missing",
                                fmt::format("[[host]] {}: {} is not an address of this machine", key, to_string(*address)),
                                "visitors of it would not arrive: see `ip address`, and give the address that this machine itself has"));
  }
  return {};
}

// By a virtual device of ours, or not there at all.
bool may_be_tunnel(const system::Link& link) { return link.kind == "tun" || link.kind == system::WireGuardLink::link_kind; }

Status prove_tunnel(const Configuration& configuration, const HostFacts& facts) {
  const auto tunnels = tunnel_interfaces(configuration);
  const auto is_tunnel = [&](const std::string& name) { return std::find(tunnels.begin(), tunnels.end(), name) != tunnels.end(); };
  const auto may_be_ours = [&](const std::string& name) {
    return is_tunnel(name) ||
           std::any_of(facts.links.begin(), facts.links.end(), [&](const auto& link) { return link.name == name && link.kind == "tun"; });
  };
  for (const auto& link : facts.links)
    if (is_tunnel(link.name) && !may_be_tunnel(link))
      return fail(misconfigured("config_interface_taken",
                                fmt::format("[tunnel] interface: '{}' is an interface of this machine already, and no tunnel", link.name),
                                "choose a name that nothing has, like drpf0"));
  for (const auto& host : configuration.hosts)
    for (const auto& name : host.interfaces)
      if (is_tunnel(name))
        return fail(misconfigured("config_interface_taken", fmt::format("[[host]] interfaces: '{}' is the tunnel itself", name),
                                  "name the interface that visitors come in by"));
  for (const auto& one : facts.addresses) {
    const bool inside =
        configuration.tunnel_v4.contains(one.address) || (configuration.tunnel_v6 && configuration.tunnel_v6->contains(one.address));
    if (inside && !may_be_ours(one.interface))
      return fail(misconfigured("config_prefix_taken",
                                fmt::format("[tunnel] {}: {} of {} lies inside the tunnel's prefix", one.address.is_v4() ? "ipv4" : "ipv6",
                                            to_string(one.address), one.interface),
                                "choose a prefix that this machine uses for nothing else"));
  }
  return {};
}

Status prove_ports(const Configuration& configuration, const HostFacts& facts) {
  using firewall::PortUse;
  if (configuration.ephemeral.first() < facts.unprivileged_from)
    return fail(misconfigured("config_ephemeral_privileged",
                              fmt::format("[ports] ephemeral: the kernel gives no ports below {} to connections of this host",
                                          to_string(facts.unprivileged_from)),
                              fmt::format("begin the range at {} or above", to_string(facts.unprivileged_from))));
  for (const auto& listener : facts.listeners)
    if (!facts.running && listener.protocol == Protocol::tcp && listener.port == configuration.api_port)
      return fail(misconfigured("config_port_taken",
                                fmt::format("[api] port: a program of this host listens on tcp port {}", to_string(listener.port)),
                                "end that program (ss -ltnp shows it), or choose another port"));
  // Of TCP only: a daemon that is saying good-bye may have the UDP port for a moment, and then it is tried again.
  const auto& openvpn = configuration.openvpn;
  for (const auto& listener : facts.listeners)
    if (openvpn.enabled && !facts.running && openvpn.protocol == Protocol::tcp && listener.protocol == Protocol::tcp &&
        listener.port == openvpn.port)
      return fail(misconfigured("config_port_taken",
                                fmt::format("[openvpn] port: a program of this host listens on tcp port {}", to_string(listener.port)),
                                "end that program (ss -ltnp shows it), or choose another port"));
  auto claims = configuration::port_claims(configuration);
  for (const auto& listener : facts.listeners)
    // Inside the pool it is not leased; a client's UDP socket in the SNAT range goes away by itself.
    if (listener.protocol == Protocol::tcp && !configuration.pool.contains(listener.port))
      claims.push_back({PortRange(listener.port), PortUse::listener,
                        fmt::format("a program of this host that listens on tcp port {}", to_string(listener.port))});
  return firewall::prove_disjoint(claims);
}

Status prove_user(const Configuration& configuration, const HostFacts& facts) {
  if (configuration.user == "root") return {};
  if (!facts.has_user(configuration.user)) {
    if (!configuration.user_named) return {};
    return fail(misconfigured("config_user_unknown",
                              fmt::format("[daemon] user: there is no user '{}' on this machine", configuration.user),
                              "make it (useradd --system), or name another; \"root\" = the gateway stays root"));
  }
  if (facts.may_open_tun(configuration.user)) return {};
  return fail(misconfigured("config_user_without_tun",
                            fmt::format("[daemon] user: '{}' may not open {}, and the gateway makes its tunnel as this user",
                                        configuration.user, system::tun_device),
                            fmt::format("let everybody open it, as is usual (chmod 666 {}), or say user = \"root\"", system::tun_device)));
}

Port unprivileged_from() {
  const auto text = system::read_sysctl("net.ipv4.ip_unprivileged_port_start");
  std::uint16_t number = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc{}) return Port{1024};
  return Port{number};
}

// What is behind the tunnel comes with it.
Result<std::vector<Prefix>> find_proxy_sources(const Configuration& configuration, const HostFacts& facts) {
  if (configuration.proxy.listen.empty()) return std::vector<Prefix>{};
  std::vector<Prefix> coming{configuration.tunnel_v4};
  if (configuration.tunnel_v6) coming.push_back(*configuration.tunnel_v6);
  return proxy::sources_of(configuration.proxy, facts.addresses, coming);
}

}  // namespace

Result<Configuration> load_configuration(const std::optional<std::string>& file, const std::vector<Port>& ssh_ports) {
  auto defaults = configuration::default_configuration();
  defaults.input_tcp = ssh_ports;
  if (file) return configuration::read_configuration_file(*file, defaults);
  if (std::filesystem::exists(default_configuration_file))
    return configuration::read_configuration_file(default_configuration_file, defaults);
  return defaults;
}

Prefix unnamed_tunnel_v6(const std::array<std::uint8_t, 32>& public_key, const std::vector<lease::Device>& devices) {
  const auto former = configuration::former_tunnel_v6();
  if (std::any_of(devices.begin(), devices.end(),
                  [&](const lease::Device& device) { return device.tunnel_v6 && former.contains(*device.tunnel_v6); }))
    return former;
  const std::array<ByteView, 2> digested{ByteView(own_prefix_label), ByteView(public_key)};
  return configuration::own_tunnel_v6(crypto::blake2s_256(digested));
}

Status prove_against(const Configuration& configuration, const HostFacts& facts) {
  for (const auto prove : {prove_public_hosts, prove_tunnel, prove_ports, prove_user})
    if (auto proven = prove(configuration, facts); !proven) return proven;
  return {};
}

Result<configuration::Setup> prove_configuration(const Configuration& configuration, system::LinksAndRoutes& network, bool running) {
  auto links = network.links();
  if (!links) return fail(links.error());
  auto addresses = network.addresses();
  if (!addresses) return fail(addresses.error());
  HostFacts facts{std::move(*links),
                  std::move(*addresses),
                  {},
                  running,
                  unprivileged_from(),
                  [](const std::string& name) { return system::find_user(name).has_value(); },
                  [](const std::string& name) {
                    const auto user = system::find_user(name);
                    return !user || system::may_use(*user, system::tun_device);
                  }};
  // What the file says of hosts comes before what is found of them.
  if (auto proven = prove_public_hosts(configuration, facts); !proven) return fail(proven.error());
  configuration::Setup out{configuration, {}, {}};
  auto hosts = find_public_hosts(configuration, network);
  if (!hosts) return fail(hosts.error());
  out.hosts = std::move(*hosts);
  auto listeners = reachable_listeners(configuration, out.hosts);
  if (!listeners) return fail(listeners.error());
  facts.listeners = out.listeners = std::move(*listeners);
  if (auto proven = prove_against(configuration, facts); !proven) return fail(proven.error());
  if (auto valid = lease::validate(out.policy()); !valid) return fail(valid.error());
  auto proxy_sources = find_proxy_sources(configuration, facts);
  if (!proxy_sources) return fail(proxy_sources.error());
  out.proxy_sources = std::move(*proxy_sources);
  return out;
}

}  // namespace drpf::daemon
