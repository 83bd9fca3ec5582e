#include "daemon/ways_in.h"

#include <fmt/format.h>

#include <array>
#include <cassert>
#include <filesystem>
#include <utility>

#include "daemon/confinement.h"
#include "system/interface_counters.h"
#include "tunnel/kernel/kernel_tunnel.h"
#include "tunnel/openvpn/openvpn_way_in.h"
#include "tunnel/wireguard/engine.h"
#include "tunnel/wireguard_devices/wireguard_way_in.h"

namespace drpf::daemon {
namespace {

using tunnel::openvpn::OpenVpnWayIn;
using tunnel::wireguard_devices::WireGuardWayIn;
using OnPeerEvent = std::function<void(tunnel::Event)>;

struct Kind {
  std::optional<std::string> (*interface)(const configuration::Configuration& configuration);  // none: not offered
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

std::optional<std::string> wireguard_interface(const configuration::Configuration& configuration) { return configuration.tunnel_interface; }

tunnel::openvpn::Settings openvpn_settings(const configuration::Configuration& configuration) {
  tunnel::openvpn::Settings settings;
  settings.interface = configuration.openvpn.interface;
  settings.protocol = configuration.openvpn.protocol;
  settings.port = configuration.openvpn.port;
  settings.tunnel_v4 = configuration.tunnel_v4;
  settings.tunnel_v6 = configuration.tunnel_v6;
  settings.mtu = configuration.mtu;
  settings.disconnect_after = configuration.disconnect_after;
  settings.dns = configuration.dns;
  settings.both_families = std::filesystem::exists("/proc/net/if_inet6");
  return settings;
}

OpenVpnWayIn::Host openvpn_host(const WaysInParts& parts, TunnelInterface& interface, const std::string& name) {
  OpenVpnWayIn::Host host;
  host.lead_here = [&interface, &network = parts.network](const Prefix& device) { return interface.lead_here(device, network); };
  host.lead_away = [&interface, &network = parts.network](const Prefix& device) { return interface.lead_away(device, network); };
  host.shut = [name, shut_out = parts.shut_out](const std::vector<Prefix>& devices) {
    std::vector<Address> inside;
    for (const auto& device : devices) inside.push_back(device.address());
    return shut_out(inside, name);
  };
  host.drain = [name] { system::wait_until_taken(name); };
  return host;
}

Result<std::unique_ptr<tunnel::WayIn>> start_openvpn(const WaysInParts& parts, TunnelInterface& tunnel_interface) {
  assert(parts.openvpn_program != nullptr);
  auto& program = *parts.openvpn_program;
  const auto settings = openvpn_settings(parts.configuration);
  system::TunOptions tun_options;
  tun_options.name = settings.interface;
  tun_options.mtu = settings.mtu;
  // One that a gateway before has left is used until its daemon is gone.
  const auto left = parts.network.link(settings.interface);
  if (auto made = system::make_persistent_tun(tun_options, program.user()); !made && !left) return fail(made.error());
  if (auto up = tunnel_interface.put_up(parts.network); !up) return fail(up.error());
  auto opened =
      OpenVpnWayIn::open(settings, {parts.store, parts.clock, parts.log, openvpn_host(parts, tunnel_interface, settings.interface), {}});
  if (!opened) return fail(opened.error());
  auto& way_in = **opened;
  way_in.tells([&way_in, &loop = parts.loop, on_event = parts.on_event](const tunnel::DeviceEvent& event) {
    loop.post([&way_in, on_event, event] { on_event(way_in, event); });
  });
  const bool udp = settings.protocol == Protocol::udp;
  way_in.version(fmt::format("OpenVPN {} on {} port {}, in user space", program.version(), udp ? "UDP" : "TCP", to_string(settings.port)));
  parts.openvpn_daemon =
      std::make_unique<OpenVpnDaemon>(OpenVpnDaemon::Parts{program, way_in, parts.loop, parts.clock, parts.log, parts.on_openvpn_trouble});
  tunnel_interface.made_again_by([tun_options, user = program.user(), &keeper = *parts.openvpn_daemon](int index) -> Status {
    auto options = tun_options;
    options.index = index;
    if (auto made = system::make_persistent_tun(options, user); !made) return made;
    keeper.restart();
    return {};
  });
  return std::unique_ptr<tunnel::WayIn>(std::move(*opened));
}

std::optional<std::string> openvpn_interface(const configuration::Configuration& configuration) {
  if (!configuration.openvpn.enabled) return std::nullopt;
  return configuration.openvpn.interface;
}

constexpr std::array kinds{Kind{&wireguard_interface, &start_wireguard}, Kind{&openvpn_interface, &start_openvpn}};

}  // namespace

std::vector<std::string> tunnel_interfaces(const configuration::Configuration& configuration) {
  std::vector<std::string> names;
  for (const auto& kind : kinds)
    if (auto name = kind.interface(configuration)) names.push_back(std::move(*name));
  return names;
}

Result<std::vector<std::unique_ptr<tunnel::WayIn>>> start_ways_in(const WaysInParts& parts) {
  std::vector<std::unique_ptr<tunnel::WayIn>> all;
  std::size_t next_interface = 0;
  for (const auto& kind : kinds) {
    if (!kind.interface(parts.configuration)) continue;
    auto started = kind.start(parts, parts.interfaces[next_interface++]);
    if (!started) return fail(started.error());
    all.push_back(std::move(*started));
  }
  return all;
}

}  // namespace drpf::daemon
