// How the gateway follows its devices: connected, roamed, gone.
#include <algorithm>
#include <utility>

#include "gateway/gateway.h"

#include <spdlog/logger.h>

namespace drpf::gateway {

void Gateway::on_tunnel_event(const tunnel::Event& event) {
  if (const auto* connected = std::get_if<tunnel::PeerConnected>(&event)) on_connected(connected->public_key, connected->endpoint);
  if (const auto* roamed = std::get_if<tunnel::PeerRoamed>(&event)) on_roamed(roamed->public_key, roamed->endpoint);
  if (const auto* disconnected = std::get_if<tunnel::PeerDisconnected>(&event)) on_disconnected(disconnected->public_key);
}

std::optional<lease::DeviceId> Gateway::device_of(const tunnel::Key& key) const {
  const auto found = devices_by_key_.find(key);
  if (found == devices_by_key_.end()) return std::nullopt;
  return found->second;
}

void Gateway::on_connected(const tunnel::Key& key, const Endpoint& endpoint) {
  const auto device = device_of(key);
  if (!device) return;
  restored_until_.erase(*device);
  // The endpoint is known to the firewall before the first packet of the device is forwarded: no lease can be visited around the tunnel.
  if (auto admitted = parts_.redirect.admit_endpoint(endpoint.address, endpoint_lifetime); !admitted) {
    parts_.log->error("a device at {} is not admitted: {}", to_string(endpoint), admitted.error().message);
    connects_due_[*device] = endpoint;
    return;
  }
  remember_endpoint(*device, endpoint);

  (void)connect(*device, endpoint);
  parts_.tunnel.admit(key, endpoint.address);
}

Result<api::Settling> Gateway::connect(lease::DeviceId device, const Endpoint& endpoint) {
  connects_due_.erase(device);
  const auto name = book_.device(device)->name;
  const auto connected = book_.connect(device, now());
  if (!connected) {
    parts_.log->warn("device {} connected from {} and gets no ports: {}", name, to_string(endpoint), connected.error().message);
    return fail(connected.error());
  }
  if (connected->shortfall) parts_.log->warn("device {}: {}", name, connected->shortfall->message);
  const auto done = carry_out(connected->transaction);
  if (!done && !store_trouble_) parts_.log->error("device {}: {}", name, done.error().message);
  if (!book_.device(device)->connected) {
    connects_due_[device] = endpoint;
    return done;
  }
  parts_.log->info("device {} connected from {}, {} leases", name, to_string(endpoint), book_.leases_of(device).size());
  publish(device, "connected");
  return done;
}

void Gateway::on_roamed(const tunnel::Key& key, const Endpoint& endpoint) {
  const auto device = device_of(key);
  if (!device) return;
  const bool is_connected = book_.device(*device)->connected;
  if (!is_connected && connects_due_.contains(*device)) return on_connected(key, endpoint);
  if (auto admitted = parts_.redirect.admit_endpoint(endpoint.address, endpoint_lifetime); !admitted) {
    parts_.log->error("a device that moved to {} is not admitted: {}", to_string(endpoint), admitted.error().message);
    connects_due_[*device] = endpoint;
    return;
  }
  connects_due_.erase(*device);
  remember_endpoint(*device, endpoint);
  parts_.tunnel.admit(key, endpoint.address);
  parts_.log->info("device {} moved to {}", book_.device(*device)->name, to_string(endpoint));
  publish(device, "roamed");
}

// At once, not with the next save_tunnel_state(): a gateway that is killed in between would call the device where it is no more, and the
// device's own timers take 15 s to notice.
void Gateway::remember_endpoint(lease::DeviceId device, const Endpoint& endpoint) {
  auto& peer = peers_.at(device);
  if (peer.endpoint == endpoint) return;
  peer.endpoint = endpoint;
  if (auto saved = parts_.store.save_wireguard_peers({peer}); !saved)
    parts_.log->error("the endpoint {} was not saved: {}", to_string(endpoint), saved.error().message);
}

void Gateway::on_disconnected(const tunnel::Key& key) {
  const auto device = device_of(key);
  if (!device) return;
  connects_due_.erase(*device);
  // The tunnel says it once: what is not committed now is tried again with every tick.
  if (!disconnect(*device, "was not heard of") && book_.device(*device)->connected) restored_until_[*device] = now();
}

Result<api::Settling> Gateway::disconnect(lease::DeviceId device, std::string_view why) {
  const auto* record = book_.device(device);
  if (record == nullptr || !record->connected) {
    restored_until_.erase(device);
    return catch_up();
  }
  const auto name = record->name;
  const auto transaction = book_.disconnect(device, now());
  if (!transaction) {
    parts_.log->error("device {}: {}", name, transaction.error().message);
    return fail(transaction.error());
  }
  const auto done = carry_out(*transaction);
  if (!done && !store_trouble_) parts_.log->error("device {}: {}", name, done.error().message);
  if (book_.device(device)->connected) return done;
  restored_until_.erase(device);
  parts_.log->info("device {} {}: its ports are closed and kept for it", name, why);
  publish(device, "disconnected");
  return done;
}

Result<api::Settling> Gateway::disconnect_device(lease::DeviceId device) {
  const auto peer = peers_.find(device);
  if (peer == peers_.end()) return fail(not_found("device_unknown", "no such device is known to the tunnel"));
  connects_due_.erase(device);
  const auto done = disconnect(device, "said good-bye");
  if (!book_.device(device)->connected) parts_.tunnel.depart(peer->second.public_key);
  return done;
}

void Gateway::make_up_for_failures() {
  for (const auto device : std::exchange(peers_due_, {})) {
    const auto peer = peers_.find(device);
    if (peer == peers_.end()) continue;
    if (auto added = add_peer_to_tunnel(peer->second); !added)
      parts_.log->error("device {} is still not in the tunnel: {}", book_.device(device)->name, added.error().message);
  }
  const auto due = connects_due_;
  for (const auto& [device, endpoint] : due) {
    const auto& key = peers_.at(device).public_key;
    if (book_.device(device)->connected)
      on_roamed(key, endpoint);
    else
      on_connected(key, endpoint);
  }
}

void Gateway::call_connected_devices() {
  for (const auto& [device, peer] : peers_)
    if (const auto* record = book_.device(device); record != nullptr && record->connected) parts_.tunnel.initiate(peer.public_key);
}

void Gateway::end_restored_sessions() {
  std::vector<lease::DeviceId> gone;
  for (const auto& [device, until] : restored_until_)
    if (until <= now()) gone.push_back(device);
  for (const auto device : gone) {
    (void)disconnect(device, "was not heard of");
    const auto* record = book_.device(device);
    const auto peer = peers_.find(device);
    if (record == nullptr || record->connected || peer == peers_.end()) continue;
    // The tunnel may not have noticed: then the device would come back without a word of it, and without its ports.
    const auto& key = peer->second.public_key;
    parts_.tunnel.depart(key);
    const auto status = parts_.tunnel.status(key);
    if (status && status->last_authenticated && now() < *status->last_authenticated + configuration_.disconnect_after)
      parts_.tunnel.initiate(key);
  }
}

void Gateway::refresh_endpoints() {
  if (endpoints_refreshed_ && now() < *endpoints_refreshed_ + endpoint_refresh) return;
  endpoints_refreshed_ = now();
  for (const auto& status : parts_.tunnel.status()) {
    const auto device = device_of(status.public_key);
    if (!device || !book_.device(*device)->connected) continue;
    // An event may have crossed a good-bye: whoever has been silent for too long ends here, whatever was told.
    if (status.last_authenticated && *status.last_authenticated + configuration_.disconnect_after + endpoint_refresh / 4 < now())
      restored_until_.try_emplace(*device, now());
    if (!status.endpoint) continue;
    if (auto admitted = parts_.redirect.admit_endpoint(status.endpoint->address, endpoint_lifetime); !admitted)
      parts_.log->error("the endpoint {} could not be kept in the firewall: {}", to_string(*status.endpoint), admitted.error().message);
  }
}

// Known to us whatever comes; what fails here is tried again with the next tick.
Status Gateway::add_peer_to_tunnel(const store::WireGuardPeer& peer) {
  auto config = tunnel_settings(peer);
  config.endpoint = peer.endpoint;
  peers_[peer.device] = peer;
  devices_by_key_[peer.public_key] = peer.device;
  auto added = parts_.prepare_tunnel_addresses(*book_.device(peer.device));
  if (added) added = parts_.tunnel.add_peer(config);
  if (!added) peers_due_.insert(peer.device);
  return added;
}

// Without the endpoint, which the tunnel knows better while it runs.
tunnel::PeerConfig Gateway::tunnel_settings(const store::WireGuardPeer& peer) const {
  const auto* device = book_.device(peer.device);
  tunnel::PeerConfig config;
  config.public_key = peer.public_key;
  config.preshared_key = peer.preshared_key;
  config.last_timestamp = peer.last_timestamp;
  // The devices of a suspended account keep their sessions, and nothing passes in them.
  if (book_.account(device->account)->suspended) return config;
  config.allowed_ips = {Prefix::host(device->tunnel_v4)};
  if (device->tunnel_v6) config.allowed_ips.push_back(Prefix::host(*device->tunnel_v6));
  return config;
}

void Gateway::forget_peer(lease::DeviceId device) {
  const auto peer = peers_.find(device);
  if (peer == peers_.end()) return;
  if (auto removed = parts_.tunnel.remove_peer(peer->second.public_key); !removed)
    parts_.log->error("a removed device is still in the tunnel: {}", removed.error().message);
  devices_by_key_.erase(peer->second.public_key);
  restored_until_.erase(device);
  connects_due_.erase(device);
  peers_due_.erase(device);
  peers_.erase(peer);
}

}  // namespace drpf::gateway
