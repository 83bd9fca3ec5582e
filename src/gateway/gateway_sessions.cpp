// How the gateway follows its devices: connected, roamed, gone.
#include <algorithm>

#include "gateway/gateway.h"

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
    return;
  }
  remember_endpoint(*device, endpoint);

  const auto* record = book_.device(*device);
  const auto connected = book_.connect(*device, now());
  if (!connected) {
    parts_.log->warn("device {} connected from {} and gets no ports: {}", record->name, to_string(endpoint), connected.error().message);
  } else {
    if (connected->shortfall) parts_.log->warn("device {}: {}", record->name, connected->shortfall->message);
    if (auto done = carry_out(connected->transaction); !done) parts_.log->error("device {}: {}", record->name, done.error().message);
  }
  parts_.tunnel.admit(key, endpoint.address);
  parts_.log->info("device {} connected from {}, {} leases", record->name, to_string(endpoint), book_.leases_of(*device).size());
  publish(device, "connected");
}

void Gateway::on_roamed(const tunnel::Key& key, const Endpoint& endpoint) {
  const auto device = device_of(key);
  if (!device) return;
  if (auto admitted = parts_.redirect.admit_endpoint(endpoint.address, endpoint_lifetime); !admitted) {
    parts_.log->error("a device that moved to {} is not admitted: {}", to_string(endpoint), admitted.error().message);
    return;
  }
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
  if (const auto device = device_of(key)) disconnect(*device, "was not heard of");
}

void Gateway::disconnect(lease::DeviceId device, std::string_view why) {
  restored_until_.erase(device);
  const auto* record = book_.device(device);
  if (record == nullptr || !record->connected) return;
  const auto name = record->name;
  const auto transaction = book_.disconnect(device, now());
  if (!transaction) {
    parts_.log->error("device {}: {}", name, transaction.error().message);
    return;
  }
  if (auto done = carry_out(*transaction); !done) parts_.log->error("device {}: {}", name, done.error().message);
  parts_.log->info("device {} {}: its ports are closed and kept for it", name, why);
  publish(device, "disconnected");
}

Status Gateway::disconnect_device(lease::DeviceId device) {
  const auto peer = peers_.find(device);
  if (peer == peers_.end()) return fail(not_found("device_unknown", "no such device is known to the tunnel"));
  disconnect(device, "said good-bye");
  parts_.tunnel.depart(peer->second.public_key);
  return {};
}

void Gateway::call_connected_devices() {
  for (const auto& [device, peer] : peers_)
    if (const auto* record = book_.device(device); record != nullptr && record->connected) parts_.tunnel.initiate(peer.public_key);
}

void Gateway::end_restored_sessions() {
  std::vector<lease::DeviceId> gone;
  for (const auto& [device, until] : restored_until_)
    if (until <= now()) gone.push_back(device);
  for (const auto device : gone) disconnect(device, "did not come back after the restart");
}

void Gateway::refresh_endpoints() {
  if (endpoints_refreshed_ && now() < *endpoints_refreshed_ + endpoint_refresh) return;
  endpoints_refreshed_ = now();
  for (const auto& status : parts_.tunnel.status()) {
    const auto device = device_of(status.public_key);
    if (!device || !status.endpoint || !book_.device(*device)->connected) continue;
    if (auto admitted = parts_.redirect.admit_endpoint(status.endpoint->address, endpoint_lifetime); !admitted)
      parts_.log->error("the endpoint {} could not be kept in the firewall: {}", to_string(*status.endpoint), admitted.error().message);
  }
}

Status Gateway::add_peer_to_tunnel(const store::WireGuardPeer& peer) {
  auto config = tunnel_settings(peer);
  config.endpoint = peer.endpoint;
  peers_[peer.device] = peer;
  devices_by_key_[peer.public_key] = peer.device;
  return parts_.tunnel.add_peer(config);
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
  peers_.erase(peer);
}

}  // namespace drpf::gateway
