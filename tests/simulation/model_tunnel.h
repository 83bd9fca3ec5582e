// The tunnel without packets: who is there, from where, and who is admitted. It tells of connects and disconnects as the engine does
// (tunnel/wireguard/handshaker.cpp): again and again until the device is admitted, and only once that it is gone.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "simulation/faults.h"
#include "simulation/kernel.h"
#include "tunnel/tunnel.h"

namespace drpf::simulation {

class ModelTunnel final : public tunnel::Tunnel {
 public:
  static constexpr Duration disconnect_after = std::chrono::seconds(180);
  static constexpr Duration repeat_after = std::chrono::seconds(1);

  ModelTunnel(const VirtualClock& clock, const Kernel& kernel, Faults& faults) : clock_(clock), kernel_(kernel), faults_(faults) {}

  std::string_view name() const override { return "simulated WireGuard"; }
  Status add_peer(const tunnel::PeerConfig& peer) override {
    peers_[peer.public_key].config = peer;
    return {};
  }
  Status remove_peer(const tunnel::Key& key) override {
    peers_.erase(key);
    return {};
  }
  void admit(const tunnel::Key& key, const Address& address) override {
    if (!kernel_.admits(address)) throw Violation("a device is admitted at an address that the firewall does not know");
    if (const auto peer = peers_.find(key); peer != peers_.end()) {
      peer->second.admitted = address;
      if (peer->second.waiting && peer->second.waiting->address == address) peer->second.endpoint = std::exchange(peer->second.waiting, {});
    }
  }
  void depart(const tunnel::Key& key) override {
    if (const auto peer = peers_.find(key); peer != peers_.end()) {
      peer->second.connected = false;
      peer->second.departed = true;
    }
  }
  Status fence(std::span<const tunnel::ClosedFlow> flows) override {
    faults_.crash_point("before packets under way are held up");
    if (faults_.strikes(Fault::tunnel_refuses, 12)) return fail(failure("engine_busy", "the simulated tunnel does not answer"));
    fenced.insert(flows.begin(), flows.end());
    return {};
  }
  void initiate(const tunnel::Key&) override {}
  std::vector<tunnel::PeerStatus> status() const override {
    std::vector<tunnel::PeerStatus> all;
    for (const auto& [key, peer] : peers_) all.push_back(status_of(key, peer));
    return all;
  }
  std::optional<tunnel::PeerStatus> status(const tunnel::Key& key) const override {
    const auto peer = peers_.find(key);
    if (peer == peers_.end()) return std::nullopt;
    return status_of(key, peer->second);
  }
  std::vector<tunnel::Counter> counters() const override { return {}; }

  // An authentic packet of the device.
  void hear(const tunnel::Key& key, const Endpoint& from) {
    const auto found = peers_.find(key);
    if (found == peers_.end()) return;
    auto& peer = found->second;
    if (std::exchange(peer.departed, false)) peer.admitted.reset();
    peer.heard = clock_.now();
    ++peer.timestamp;
    const bool was_connected = std::exchange(peer.connected, true);
    if (peer.admitted == from.address) {
      peer.endpoint = from;
      if (!was_connected) events.push_back(tunnel::PeerConnected{key, from});
      return;
    }
    const bool told = peer.waiting == from && clock_.now() - peer.announced < repeat_after;
    peer.waiting = from;
    if (told && was_connected) return;
    peer.announced = clock_.now();
    if (!was_connected || !peer.admitted)
      events.push_back(tunnel::PeerConnected{key, from});
    else
      events.push_back(tunnel::PeerRoamed{key, from});
  }
  void notice_silence() {
    for (auto& [key, peer] : peers_) {
      if (!peer.connected || clock_.now() - peer.heard < disconnect_after) continue;
      peer.connected = false;
      peer.admitted.reset();
      peer.waiting.reset();
      events.push_back(tunnel::PeerDisconnected{key});
    }
  }
  bool forwards(const tunnel::Key& key, const Address& from) const {
    const auto peer = peers_.find(key);
    return peer != peers_.end() && peer->second.admitted == from;
  }
  std::size_t peers() const { return peers_.size(); }
  bool has(const tunnel::Key& key) const { return peers_.contains(key); }

  std::set<tunnel::ClosedFlow> fenced;  // since the operation at hand began
  std::deque<tunnel::Event> events;     // on their way to the gateway

 private:
  struct Peer {
    tunnel::PeerConfig config;
    std::optional<Endpoint> endpoint;
    std::optional<Endpoint> waiting;
    std::optional<Address> admitted;
    bool connected = false;
    bool departed = false;
    Time heard{};
    Time announced{};
    std::uint8_t timestamp = 0;
  };
  static tunnel::PeerStatus status_of(const tunnel::Key& key, const Peer& peer) {
    tunnel::PeerStatus status;
    status.public_key = key;
    status.endpoint = peer.endpoint ? peer.endpoint : peer.config.endpoint;
    if (peer.heard != Time{}) status.last_authenticated = peer.heard;
    status.last_timestamp[11] = peer.timestamp;
    return status;
  }

  const VirtualClock& clock_;
  const Kernel& kernel_;
  Faults& faults_;
  std::map<tunnel::Key, Peer> peers_;
};

}  // namespace drpf::simulation
