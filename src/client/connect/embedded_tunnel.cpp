#include "client/connect/embedded_tunnel.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/fd.h"
#include "system/socket_address.h"
#include "system/tun.h"
#include "system/udp_socket.h"
#include "tunnel/wireguard/engine.h"

namespace drpf::client {
namespace {

using tunnel::wireguard::Engine;
using tunnel::wireguard::EngineConfig;

constexpr const char* control_folder = "/var/run/wireguard";

// The folder may be shared with other network namespaces, where an interface may have the same name.
bool is_served(const std::string& path) {
  const auto address = system::to_socket_address(path);
  const system::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return address && socket.valid() && ::connect(socket.get(), address->get(), address->size) == 0;
}

// Where `wg show` looks. Without the right to write there, or with the name taken, the tunnel works as well.
std::string control_socket_path(const std::string& interface) {
  ::mkdir(control_folder, 0755);
  const auto path = std::string(control_folder) + "/" + interface + ".sock";
  return ::access(control_folder, W_OK) == 0 && !is_served(path) ? path : std::string();
}

}  // namespace

Result<StartedTunnel> start_tunnel(const TunnelWish& wish, Random& random, const Clock& clock, std::function<void(tunnel::Event)> event) {
  EngineConfig config;
  config.private_key = wish.private_key.bytes();
  config.mtu = wish.mtu;
  config.control_socket_path = control_socket_path(wish.interface);
  const auto tun_options = Engine::tun_options(wish.interface, wish.mtu, config.offload);
  auto tun = system::Tun::open(tun_options);
  if (!tun) return fail(tun.error());
  auto sockets = system::UdpSockets::open(Engine::udp_options(wish.listen_port, wish.mark, config.offload));
  if (!sockets) return fail(sockets.error());
  auto engine =
      Engine::start(std::move(config), std::move(*tun), std::move(*sockets), random, clock, std::move(event), spdlog::default_logger());
  if (!engine) return fail(engine.error());
  StartedTunnel started;
  started.make_interface_again = [tun_options, &engine = **engine](int index) -> Status {
    auto options = tun_options;
    options.index = index;
    auto made = system::Tun::open(options);
    if (!made) return fail(made.error());
    return engine.replace_tun(std::move(*made));
  };
  started.tunnel = std::move(*engine);
  return started;
}

}  // namespace drpf::client
