// The kernel's WireGuard as the gateway's tunnel. The link and its sessions outlive this process and are taken over by the next one: after
// a crash devices are forwarded on meanwhile, after an orderly end they wait.
//
// The kernel tells nothing by itself, so a thread looks at its peers. Until admit() a peer has no allowed prefixes, and nothing of it is
// forwarded; but a peer that moves is forwarded from its new address until the next look, and fence() cannot take back packets that the
// rules let through a moment ago. docs/security.md says what follows from that.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include <spdlog/fwd.h>

#include "system/links_and_routes.h"
#include "system/wireguard_link.h"
#include "tunnel/kernel/peer_watch.h"
#include "tunnel/tunnel.h"

namespace drpf::tunnel::kernel {

struct KernelTunnelConfig {
  std::string interface = "drpf0";
  Key private_key{};
  Port port{51820};
  std::uint16_t mtu = 1420;
  Duration disconnect_after = std::chrono::seconds(180);
};

// Nothing where there is no WireGuard link of that name, or one without a key, or with this one: what an earlier run left. Another's is
// refused: who takes it over ends the sessions of its peers.
Status check_link_is_ours(const std::string& interface, const Key& private_key, system::LinksAndRoutes& network);

class KernelTunnel final : public Tunnel {
 public:
  static constexpr Duration look_interval = std::chrono::milliseconds(250);
  static constexpr int look_share = 20;                                // at most this part of the time is spent looking
  static constexpr Duration adoption_time = std::chrono::seconds(10);  // then peers that nobody added are removed

  // Makes the link, or takes over the one that an earlier run left. `on_event` is called on the looking thread, and must not block.
  static Result<std::unique_ptr<KernelTunnel>> start(const KernelTunnelConfig& config, system::LinksAndRoutes& network, const Clock& clock,
                                                     std::function<void(Event)> on_event, std::shared_ptr<spdlog::logger> log);
  ~KernelTunnel() override;  // the link and its sessions stay, but nobody is let through

  std::string_view name() const override { return "the kernel's WireGuard"; }
  Status add_peer(const PeerConfig& peer) override;
  Status remove_peer(const Key& public_key) override;
  void admit(const Key& public_key, const Address& endpoint_address) override;
  void depart(const Key& public_key) override;
  Status fence(std::span<const ClosedFlow> flows) override;
  void initiate(const Key& public_key) override;
  std::vector<PeerStatus> status() const override;
  std::optional<PeerStatus> status(const Key& public_key) const override;
  std::vector<Counter> counters() const override;  // what the kernel counts of the link

 private:
  KernelTunnel(system::WireGuardLink commands, system::WireGuardLink looking, Duration disconnect_after, const Clock& clock,
               std::string interface, std::function<void(Event)> on_event, std::shared_ptr<spdlog::logger> log);
  void run();
  bool look();  // false when the link is gone
  void shut(const Key& public_key);
  void remove_strangers(std::span<const system::WireGuardPeerReport> reports);

  struct Peer {
    PeerConfig config;
    bool admitted = false;
  };

  system::WireGuardLink commands_;  // under the mutex
  system::WireGuardLink looking_;   // of the thread
  const Clock& clock_;
  std::string interface_;
  std::function<void(Event)> on_event_;
  std::shared_ptr<spdlog::logger> log_;
  Time started_;
  mutable std::mutex mutex_;
  std::condition_variable stopping_changed_;
  bool stopping_ = false;
  PeerWatch watch_;
  std::map<Key, Peer> peers_;
  std::set<Key> departing_;                  // shut at the next look: the answer to the good-bye goes out first
  std::map<Key, std::vector<Prefix>> left_;  // of the earlier run, until add_peer() names them
  std::thread thread_;
};

}  // namespace drpf::tunnel::kernel
