#include "tunnel/kernel/peer_watch.h"

namespace drpf::tunnel::kernel {

void PeerWatch::depart(const Key& public_key) {
  const auto found = peers_.find(public_key);
  if (found == peers_.end()) return;
  found->second.connected = false;
  found->second.departed = true;
}

std::vector<Event> PeerWatch::look(std::span<const system::WireGuardPeerReport> reports, Time now, WallTime wall_now) {
  std::vector<Event> events;
  for (const auto& report : reports)
    if (const auto found = peers_.find(report.public_key); found != peers_.end())
      look(found->first, found->second, report, now, wall_now, events);
  return events;
}

void PeerWatch::look(const Key& public_key, Peer& peer, const system::WireGuardPeerReport& report, Time now, WallTime wall_now,
                     std::vector<Event>& events) const {
  auto& seen = peer.seen;
  const bool shook_hands = report.last_handshake && report.last_handshake != seen.last_handshake;
  const bool heard = peer.looked_at && report.bytes_received != seen.bytes_received;
  if (shook_hands) {
    // At the first look the handshake may be old: its age counts. Later it is new, whatever the wall clock has become.
    const auto age = peer.looked_at ? Duration::zero() : std::max(wall_now - *report.last_handshake, Duration::zero());
    seen.last_authenticated = now - age;
    peer.departed = false;
  } else if (heard) {
    seen.last_authenticated = now;
  }
  const bool moved = report.endpoint && seen.endpoint && *report.endpoint != *seen.endpoint;
  seen.public_key = public_key;
  seen.endpoint = report.endpoint;
  seen.last_handshake = report.last_handshake;
  seen.bytes_received = report.bytes_received;
  seen.bytes_sent = report.bytes_sent;
  peer.looked_at = true;

  const bool here = seen.endpoint && !peer.departed && seen.last_authenticated && now - *seen.last_authenticated < disconnect_after_;
  if (here && !peer.connected)
    events.emplace_back(PeerConnected{public_key, *seen.endpoint});
  else if (here && moved)
    events.emplace_back(PeerRoamed{public_key, *seen.endpoint});
  else if (!here && peer.connected)
    events.emplace_back(PeerDisconnected{public_key});
  peer.connected = here;
}

std::vector<PeerStatus> PeerWatch::status() const {
  std::vector<PeerStatus> all;
  for (const auto& [key, peer] : peers_) all.push_back(*status(key));
  return all;
}

std::optional<PeerStatus> PeerWatch::status(const Key& public_key) const {
  const auto found = peers_.find(public_key);
  if (found == peers_.end()) return std::nullopt;
  auto status = found->second.seen;
  status.public_key = public_key;
  return status;
}

}  // namespace drpf::tunnel::kernel
