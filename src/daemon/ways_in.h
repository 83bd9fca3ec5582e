// The kinds of tunnels that this gateway offers, in one list: which interfaces they have, and how each is started.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <spdlog/fwd.h>

#include "configuration/configuration.h"
#include "core/random.h"
#include "core/result.h"
#include "core/time.h"
#include "daemon/openvpn_daemon.h"
#include "daemon/tunnel_interface.h"
#include "net/event_loop.h"
#include "store/store.h"
#include "system/links_and_routes.h"
#include "tunnel/way_in.h"

namespace drpf::daemon {

struct WaysInParts {
  const configuration::Configuration& configuration;
  store::Store& store;
  const store::WireGuardIdentity& wireguard_identity;
  system::LinksAndRoutes& network;
  std::vector<TunnelInterface>& interfaces;  // as tunnel_interfaces() names them, in this order
  net::EventLoop& loop;
  const Clock& clock;
  Random& random;
  std::shared_ptr<spdlog::logger> log;
  system::OpenVpnProgram* openvpn_program = nullptr;  // where it is configured
  std::unique_ptr<OpenVpnDaemon>& openvpn_daemon;     // made with its way in
  std::function<Status(std::span<const Address> inside, const std::string& interface)> shut_out;
  std::function<void(std::optional<std::string>)> on_openvpn_trouble;
  // Both on the control thread.
  std::function<void(tunnel::WayIn&, const tunnel::DeviceEvent&)> on_event;
  std::function<void(const Error&)> on_failed;  // of a way in that cannot go on
};

// Known before anything is started: the rule set names them.
std::vector<std::string> tunnel_interfaces(const configuration::Configuration& configuration);

// Each with its interface up. What `parts` names must outlive them.
Result<std::vector<std::unique_ptr<tunnel::WayIn>>> start_ways_in(const WaysInParts& parts);

}  // namespace drpf::daemon
