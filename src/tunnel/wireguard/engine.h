// The embedded WireGuard engine: three threads over a TUN device and UDP sockets that are handed in (they may belong to other network
// namespaces). It sets no addresses, routes or firewall rules.
//
// Usage:
//   auto tun = system::Tun::open({.name = "drpf0", .mtu = 1420});
//   auto sockets = system::UdpSockets::open({.port = Port(51820)});
//   auto engine = Engine::start({.private_key = key}, std::move(*tun), std::move(*sockets), random, clock, on_event, log);
//   (*engine)->add_peer({.public_key = peer, .allowed_ips = {Prefix::host(address)}});
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <spdlog/fwd.h>

#include "core/random.h"
#include "core/time.h"
#include "system/tun.h"
#include "system/udp_socket.h"
#include "tunnel/offload.h"
#include "tunnel/tunnel.h"
#include "tunnel/wireguard/packet_io.h"

namespace drpf::tunnel::wireguard {

struct EngineConfig {
  Key private_key{};
  std::array<std::uint8_t, 12> timestamp_floor{};  // greatest TAI64N that an earlier run sent; ours will be greater
  std::uint16_t mtu = 1420;
  Offload offload = Offload::automatic;
  bool require_admission = false;
  std::string control_socket_path;  // for `wg show`; empty = none
  Duration disconnect_after = std::chrono::seconds(180);
  Duration wait_max = std::chrono::hours(1);  // longest wait of the timer thread; only a test with a fast clock needs less
  std::optional<std::size_t> crypto_workers;  // in each direction; none = by the number of cores
  bool fence = true;                          // false shows what the fence is for; only for that test
  bool ask_for_proof = true;                  // likewise: that a peer is where its packets say they are from
  PacketIo* packet_io = nullptr;              // tests make system calls fail; null = the real ones. Must outlive the engine.
};

class Engine final : public Tunnel {
 public:
  static constexpr std::size_t peers_max = 100'000;
  static constexpr std::size_t allowed_ips_per_peer_max = 65'536 * 2;
  static constexpr Duration command_wait_max = std::chrono::seconds(2);

  // What to open a TUN device and sockets with for this offload setting.
  static system::TunOptions tun_options(const std::string& name, std::uint16_t mtu, Offload offload);
  static system::UdpOptions udp_options(Port port, std::uint32_t fwmark, Offload offload);

  // `on_event` is called on the engine's handshake thread, one event at a time. It must not block; it may call admit() and initiate(), but
  // not what waits for that thread: remove_peer() and the destructor.
  static Result<std::unique_ptr<Engine>> start(EngineConfig config, system::Tun tun, system::UdpSockets sockets, Random& random,
                                               const Clock& clock, std::function<void(Event)> on_event,
                                               std::shared_ptr<spdlog::logger> log);
  ~Engine() override;

  std::string_view name() const override { return "embedded WireGuard"; }
  Status add_peer(const PeerConfig& peer) override;
  // When it returns well, no packet of this peer will be written to the TUN device any more.
  Status remove_peer(const Key& public_key) override;
  void admit(const Key& public_key, const Address& endpoint_address) override;
  void depart(const Key& public_key) override;
  void initiate(const Key& public_key) override;
  Status fence(std::span<const ClosedFlow> flows) override;
  // Goes on with another device of the same name and options: sessions, counters and what waits stay. From one thread at a time.
  Status replace_tun(system::Tun made);
  std::size_t fenced_flows() const;  // that are still being thrown away
  std::vector<PeerStatus> status() const override;
  std::optional<PeerStatus> status(const Key& public_key) const override;

  // The greatest stamp sent so far; to be kept over restarts.
  std::array<std::uint8_t, 12> timestamp_floor() const;
  const Key& public_key() const;
  Port port() const;
  // Drops by reason, handshakes too, and offloads given up.
  std::vector<Counter> counters() const override;
  std::vector<StrangerRefusal> strangers() const override;

 private:
  struct Parts;
  explicit Engine(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace drpf::tunnel::wireguard
