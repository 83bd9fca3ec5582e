// Proves a configuration against this host: what `drpf check` calls good, the gateway starts with and takes at a reload. Changes nothing.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "configuration/configuration.h"
#include "configuration/setup.h"
#include "core/result.h"
#include "lease/types.h"
#include "system/links_and_routes.h"

namespace drpf::daemon {

// What a host has that a configuration can contradict.
struct HostFacts {
  std::vector<system::Link> links;
  std::vector<system::InterfaceAddress> addresses;
  std::vector<configuration::Listener> listeners;
  bool running = false;          // our own gateway, whose sockets are among the listeners
  Port unprivileged_from{1024};  // net.ipv4.ip_unprivileged_port_start
  std::function<bool(const std::string&)> has_user;
  std::function<bool(const std::string&)> may_open_tun;  // the user of this name
};

// The configuration of `file`, or of the default file if that exists, or the one of a gateway that was told nothing. Where none names
// the services to keep open, these stay: the door that the operator came in by is not closed.
Result<configuration::Configuration> load_configuration(const std::optional<std::string>& file, const std::vector<Port>& ssh_ports);

// The tunnel's IPv6 prefix where the file names none: this gateway's own, by its public key. The devices of an older gateway keep the one
// that they have.
Prefix unnamed_tunnel_v6(const std::array<std::uint8_t, 32>& public_key, const std::vector<lease::Device>& devices);

// The first key that `facts` contradict.
Status prove_against(const configuration::Configuration& configuration, const HostFacts& facts);

// With what was found of this host for it. `running`: our own gateway in this network namespace.
Result<configuration::Setup> prove_configuration(const configuration::Configuration& configuration, system::LinksAndRoutes& network,
                                                 bool running);

}  // namespace drpf::daemon
