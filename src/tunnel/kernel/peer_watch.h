// Tells who came, moved and went from what the kernel's WireGuard reports now and then: it has no events. Pure: reports and times come in.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "core/time.h"
#include "system/wireguard_link.h"
#include "tunnel/tunnel.h"

namespace drpf::tunnel::kernel {

class PeerWatch {
 public:
  // Away after so long without anything that authenticated.
  explicit PeerWatch(Duration disconnect_after) : disconnect_after_(disconnect_after) {}

  void add(const Key& public_key) { peers_.try_emplace(public_key); }
  void remove(const Key& public_key) { peers_.erase(public_key); }
  void depart(const Key& public_key);  // it said good-bye: only its next handshake brings it back
  bool knows(const Key& public_key) const { return peers_.contains(public_key); }

  // Reports of others are passed over.
  std::vector<Event> look(std::span<const system::WireGuardPeerReport> reports, Time now, WallTime wall_now);

  std::vector<PeerStatus> status() const;
  std::optional<PeerStatus> status(const Key& public_key) const;

 private:
  struct Peer {
    PeerStatus seen;
    bool looked_at = false;
    bool connected = false;
    bool departed = false;
  };
  void look(const Key& public_key, Peer& peer, const system::WireGuardPeerReport& report, Time now, WallTime wall_now,
            std::vector<Event>& events) const;

  Duration disconnect_after_;
  std::map<Key, Peer> peers_;
};

}  // namespace drpf::tunnel::kernel
