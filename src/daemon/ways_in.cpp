#include "daemon/ways_in.h"

#include <array>
#include <filesystem>
#include <utility>

#include "daemon/confinement.h"
#include "tunnel/kernel/kernel_tunnel.h"
#include "tunnel/wireguard/engine.h"
#include "tunnel/wireguard_devices/wireguard_way_in.h"

namespace drpf::daemon {
namespace {

using tunnel::wireguard_devices::WireGuardWayIn;
using OnPeerEvent = std::function<void(tunnel::Event)>;

struct Kind {
  std::string (*interface)(const configuration::Configuration& configuration);
  Result<std::unique_ptr<tunnel::WayIn>> (*start)(const WaysInParts& parts, TunnelInterface& interface);
};

Result<std::unique_ptr<tunnel::Tunnel>> start_embedded_engine(const WaysInParts& parts, TunnelInterface& tunnel_interface,
                                                              OnPeerEvent on_event) {
  using tunnel::wireguard::Engine;
  const auto& configuration = parts.configuration;
  const auto& identity = parts.wireguard_identity;
  // The kernel's link outlives a gateway that ran with it, and has the name and the port.
  if (const auto left = parts.network.link(configuration.tunnel_interface); left && left->kind == system::WireGuardLink::link_kind) {
    if (auto ours = tunnel::kernel::check_link_is_ours(configuration.tunnel_interface, identity.private_key, parts.network); !ours)
      return fail(ours.error());
    if (auto removed = parts.network.remove_link(configuration.tunnel_interface); !removed) return fail(removed.error());
  }
  const auto tun_options = Engine::tun_options(configuration.tunnel_interface, configuration.mtu, configuration.offload);
  auto tun = system::Tun::open(tun_options);
  if (!tun) return fail(tun.error());
  const auto interface = tun->name();
  if (auto up = tunnel_interface.put_up(parts.network); !up) return fail(up.error());

  auto sockets = system::UdpSockets::open(Engine::udp_options(configuration.wireguard_port, 0, configuration.offload));
  if (!sockets) return fail(sockets.error());
  std::error_code ignored;
  std::filesystem::create_directories(control_socket_folder, ignored);  // the engine says it if its socket cannot be made

  tunnel::wireguard::EngineConfig config;
  config.private_key = identity.private_key;
  config.timestamp_floor = identity.timestamp_floor;
  config.mtu = configuration.mtu;
  config.offload = configuration.offload;
  config.crypto_workers = configuration.crypto_workers;
  config.require_admission = true;
  config.control_socket_path = control_socket_folder + interface + ".sock";
  config.disconnect_after = configuration.disconnect_after;
  auto engine =
      Engine::start(std::move(config), std::move(*tun), std::move(*sockets), parts.random, parts.clock, std::move(on_event), parts.log);
  if (!engine) return fail(engine.error());
  tunnel_interface.made_again_by([tun_options, &engine = **engine](int index) -> Status {
    auto options = tun_options;
    options.index = index;
    auto made = system::Tun::open(options);
    if (!made) return fail(made.error());
    return engine.replace_tun(std::move(*made));
  });
  return std::unique_ptr<tunnel::Tunnel>(std::move(*engine));
}

Result<std::unique_ptr<tunnel::Tunnel>> start_kernel_engine(const WaysInParts& parts, TunnelInterface& tunnel_interface,
                                                            OnPeerEvent on_event) {
  const auto& configuration = parts.configuration;
  tunnel::kernel::KernelTunnelConfig config;
  config.interface = configuration.tunnel_interface;
  config.private_key = parts.wireguard_identity.private_key;
  config.port = configuration.wireguard_port;
  config.mtu = configuration.mtu;
  config.disconnect_after = configuration.disconnect_after;
  auto engine = tunnel::kernel::KernelTunnel::start(config, parts.network, parts.clock, std::move(on_event), parts.log);
  if (!engine) return fail(engine.error());
  if (auto up = tunnel_interface.put_up(parts.network); !up) return fail(up.error());
  return std::unique_ptr<tunnel::Tunnel>(std::move(*engine));
}

// By either engine: they differ in who carries packets, not in keys.
Result<std::unique_ptr<tunnel::WayIn>> start_wireguard(const WaysInParts& parts, TunnelInterface& tunnel_interface) {
  const auto& configuration = parts.configuration;
  const bool by_kernel = configuration.engine == configuration::TunnelEngine::kernel;
  auto opened = WireGuardWayIn::open({configuration.tunnel_interface, configuration.wireguard_port, configuration.mtu, !by_kernel},
                                     parts.wireguard_identity, {parts.store, parts.clock, parts.random, parts.log});
  if (!opened) return fail(opened.error());
  auto& way_in = **opened;
  const auto tell = [&way_in, &loop = parts.loop, on_event = parts.on_event, on_failed = parts.on_failed](tunnel::Event event) {
    loop.post([&way_in, on_event, on_failed, event = std::move(event)] {
      if (const auto* failed = std::get_if<tunnel::EngineFailed>(&event))
        on_failed(failed->error);
      else if (const auto told = way_in.event_of(event))
        on_event(way_in, *told);
    });
  };
  auto engine = by_kernel ? start_kernel_engine(parts, tunnel_interface, tell) : start_embedded_engine(parts, tunnel_interface, tell);
  if (!engine) return fail(engine.error());
  way_in.carried_by(std::move(*engine));
  return std::unique_ptr<tunnel::WayIn>(std::move(*opened));
}

std::string wireguard_interface(const configuration::Configuration& configuration) { return configuration.tunnel_interface; }

constexpr std::array kinds{Kind{&wireguard_interface, &start_wireguard}};

}  // namespace

std::vector<std::string> tunnel_interfaces(const configuration::Configuration& configuration) {
  std::vector<std::string> names;
  for (const auto& kind : kinds) names.push_back(kind.interface(configuration));
  return names;
}

Result<std::vector<std::unique_ptr<tunnel::WayIn>>> start_ways_in(const WaysInParts& parts) {
  std::vector<std::unique_ptr<tunnel::WayIn>> all;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    auto started = kinds[i].start(parts, parts.interfaces[i]);
    if (!started) return fail(started.error());
    all.push_back(std::move(*started));
  }
  return all;
}

}  // namespace drpf::daemon
