#include "tunnel/wireguard_devices/wireguard_way_in.h"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

#include "core/encoding.h"
#include "core/utc_text.h"
#include "crypto/wireguard_primitives.h"
#include "protocol/wireguard/tai64n.h"
#include "tunnel/wireguard_devices/device_configuration.h"

namespace drpf::tunnel::wireguard_devices {

using protocol::wireguard::one_second_after;
using protocol::wireguard::tai64n;
using protocol::wireguard::wall_time;

Result<store::WireGuardIdentity> gateway_identity(store::WireGuardCredentials& store, Random& random) {
  auto kept = store.load_wireguard_identity();
  if (!kept) return fail(kept.error());
  if (*kept) return **kept;
  store::WireGuardIdentity made;
  made.private_key = crypto::generate_private_key(random);
  if (auto saved = store.save_wireguard_identity(made); !saved) return fail(saved.error());
  return made;
}

Result<std::unique_ptr<WireGuardWayIn>> WireGuardWayIn::open(Settings settings, const store::WireGuardIdentity& identity, Parts parts) {
  const auto peers = parts.store.load_wireguard_peers();
  if (!peers) return fail(peers.error());
  std::unique_ptr<WireGuardWayIn> way_in(new WireGuardWayIn(std::move(settings), identity, std::move(parts)));
  for (const auto& peer : *peers) way_in->take_up(peer);
  return way_in;
}

std::optional<lease::DeviceId> WireGuardWayIn::device_of(const Key& key) const {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  return found->second;
}

const Key* WireGuardWayIn::key_of(lease::DeviceId device) const {
  const auto found = devices_.find(device);
  return found == devices_.end() ? nullptr : &found->second.peer.public_key;
}

std::optional<DeviceEvent> WireGuardWayIn::event_of(const Event& event) const {
  if (const auto* connected = std::get_if<PeerConnected>(&event)) {
    if (const auto device = device_of(connected->public_key)) return DeviceConnected{*device, connected->endpoint};
  } else if (const auto* roamed = std::get_if<PeerRoamed>(&event)) {
    if (const auto device = device_of(roamed->public_key)) return DeviceRoamed{*device, roamed->endpoint};
  } else if (const auto* disconnected = std::get_if<PeerDisconnected>(&event)) {
    if (const auto device = device_of(disconnected->public_key)) return DeviceDisconnected{*device};
  }
  return std::nullopt;
}

// ---- credentials

Status WireGuardWayIn::make_credentials(lease::DeviceId device, std::optional<ByteView> brought,
                                        const std::function<std::string(lease::DeviceId)>& name_of, store::Credentials& made) {
  store::WireGuardPeer peer;
  peer.device = device;
  if (brought) {
    if (brought->size() != peer.public_key.size())
      return fail(invalid("public_key_invalid", "this is not a WireGuard public key", "`wg pubkey` shows a device's"));
    std::copy(brought->begin(), brought->end(), peer.public_key.begin());
    if (peer.public_key == crypto::x25519_public(identity_.private_key))
      return fail(invalid("public_key_invalid", "this is the gateway's own public key", "name the device's: `wg pubkey` shows it"));
    if (!crypto::is_usable_public_key(peer.public_key))
      return fail(invalid("public_key_invalid", "no secret can be shared with this key: it is none that `wg genkey` makes",
                          "make a new key pair for the device: `wg genkey`"));
    if (const auto holder = device_of(peer.public_key))
      return fail(refusal("key_taken", "this public key belongs to device " + name_of(*holder) + " already",
                          "make a new key pair for each device: `wg genkey`"));
  } else {
    peer.private_key = crypto::generate_private_key(parts_.random);
    peer.public_key = crypto::x25519_public(*peer.private_key);
  }
  parts_.random.fill(peer.preshared_key);
  made.wireguard.push_back(peer);
  return {};
}

void WireGuardWayIn::take_up(const store::Credentials& committed) {
  for (const auto& peer : committed.wireguard) take_up(peer);
}

void WireGuardWayIn::take_up(const store::WireGuardPeer& peer) {
  by_key_[peer.public_key] = peer.device;
  devices_[peer.device] = {peer, false};
}

std::string WireGuardWayIn::public_credential(lease::DeviceId device) const {
  const auto* key = key_of(device);
  return key == nullptr ? std::string() : to_base64(*key);
}

Result<std::string> WireGuardWayIn::device_configuration(const DeviceCard& card) const {
  const auto found = devices_.find(card.device);
  if (found == devices_.end())
    return fail(
        not_found("device_unknown", "device " + card.device_name + " has no WireGuard keys", "`drpf device list` shows the devices"));
  const auto& peer = found->second.peer;
  DeviceConfiguration text;
  text.account = card.account_name;
  text.device = card.device_name;
  text.private_key = peer.private_key;
  text.tunnel_v4 = card.tunnel_v4;
  text.tunnel_v6 = card.tunnel_v6;
  text.gateway_v4 = card.gateway_v4;
  text.gateway_v6 = card.gateway_v6;
  text.mtu = settings_.mtu;
  text.dns = card.dns;
  text.gateway_public_key = crypto::x25519_public(identity_.private_key);
  text.preshared_key = peer.preshared_key;
  text.endpoint = endpoint_text(card.host, settings_.port);
  text.inbound_only = card.inbound_only;
  return to_wg_quick_text(text);
}

// ---- what the next run goes on from

// The stamps of this run begin right above the floor that the last one left, which may lie in the future. The next run has to begin above
// these again, also when this one is killed at once: devices refuse a stamp that they have seen, and their own timers take 15 s and more.
Result<bool> WireGuardWayIn::begin() {
  identity_.timestamp_floor =
      std::max(tai64n(parts_.clock.wall_now() + timestamp_floor_ahead), one_second_after(identity_.timestamp_floor));
  if (auto saved = parts_.store.save_wireguard_identity(identity_); !saved) return fail(saved.error());
  return true;
}

Result<bool> WireGuardWayIn::save_state() {
  std::vector<store::WireGuardPeer> changed;
  for (const auto& status : engine_->status()) {
    const auto device = device_of(status.public_key);
    if (!device) continue;
    auto& peer = devices_.at(*device).peer;
    if (peer.endpoint == status.endpoint && peer.last_timestamp >= status.last_timestamp) continue;
    if (status.endpoint) peer.endpoint = status.endpoint;
    peer.last_timestamp = std::max(peer.last_timestamp, status.last_timestamp);
    changed.push_back(peer);
  }
  if (!changed.empty())
    if (auto saved = parts_.store.save_wireguard_peers(changed); !saved) return fail(saved.error());

  // Written ahead, so that after a crash no initiation of ours is stamped below one that was sent (safety T3).
  const auto floor = tai64n(parts_.clock.wall_now() + timestamp_floor_ahead);
  if (floor <= identity_.timestamp_floor) return !changed.empty();
  identity_.timestamp_floor = floor;
  if (auto saved = parts_.store.save_wireguard_identity(identity_); !saved) return fail(saved.error());
  return true;
}

// At once, not with the next save_state(): a gateway that is killed in between would call the device where it is no more, and the device's
// own timers take 15 s to notice.
void WireGuardWayIn::remember(lease::DeviceId device, const Endpoint& endpoint) {
  const auto found = devices_.find(device);
  if (found == devices_.end() || found->second.peer.endpoint == endpoint) return;
  auto& peer = found->second.peer;
  peer.endpoint = endpoint;
  if (const auto status = engine_->status(peer.public_key)) peer.last_timestamp = std::max(peer.last_timestamp, status->last_timestamp);
  if (auto saved = parts_.store.save_wireguard_peers({peer}); !saved)
    parts_.log->error("the endpoint {} was not saved: {}", to_string(endpoint), saved.error().message);
}

// ---- devices

Status WireGuardWayIn::let_in(const LetIn& device) {
  auto& entry = devices_.at(device.device);
  PeerConfig config;
  config.public_key = entry.peer.public_key;
  config.preshared_key = entry.peer.preshared_key;
  config.last_timestamp = entry.peer.last_timestamp;
  config.allowed_ips = device.addresses;
  if (!entry.in_engine) config.endpoint = entry.peer.endpoint;  // later the engine knows better
  auto added = engine_->add_peer(config);
  if (added) entry.in_engine = true;
  return added;
}

Status WireGuardWayIn::remove(lease::DeviceId device) {
  const auto found = devices_.find(device);
  if (found == devices_.end()) return {};
  const auto key = found->second.peer.public_key;
  by_key_.erase(key);
  devices_.erase(found);
  return engine_->remove_peer(key);
}

void WireGuardWayIn::admit(lease::DeviceId device, const Address& endpoint_address) {
  if (const auto* key = key_of(device)) engine_->admit(*key, endpoint_address);
}

void WireGuardWayIn::depart(lease::DeviceId device) {
  if (const auto* key = key_of(device)) engine_->depart(*key);
}

void WireGuardWayIn::call(lease::DeviceId device) {
  if (const auto* key = key_of(device)) engine_->initiate(*key);
}

Status WireGuardWayIn::forget_clock(lease::DeviceId device) {
  const auto found = devices_.find(device);
  if (found == devices_.end()) return fail(not_found("device_unknown", "the device has no WireGuard keys", "see: drpf device list"));
  auto changed = found->second.peer;
  changed.last_timestamp = {};
  if (auto saved = parts_.store.save_wireguard_peers({changed}); !saved) return saved;
  found->second = {changed, false};
  return engine_->remove_peer(changed.public_key);
}

DeviceStatus WireGuardWayIn::status_of(const Entry& entry, const PeerStatus& reported) const {
  DeviceStatus status{entry.peer.device,
                      reported.endpoint,
                      reported.last_handshake,
                      reported.last_authenticated,
                      reported.bytes_received,
                      reported.bytes_sent,
                      {}};
  if (const auto& refused = reported.refused) {
    if (refused->why == PeerRefusal::Why::old_stamp)
      status.refused = {
          fmt::format("its clock says {}, and has said {} before: what it sends would be taken for recorded then, and is not answered",
                      utc_text(wall_time(refused->stamp)), utc_text(wall_time(reported.last_timestamp))),
          "set the device's clock; where it is right by now: drpf device forget-clock {device}", refused->times, refused->last};
    else
      status.refused = {
          "it asks again and again and nothing of it follows the answer: its preshared key is another one, or answers do not reach it",
          "give it its configuration anew (drpf device config {device}), and look for a firewall before it", refused->times, refused->last};
  }
  return status;
}

std::vector<Refused> WireGuardWayIn::strangers() const {
  std::vector<Refused> all;
  for (const auto& one : engine_->strangers()) {
    if (one.why == StrangerRefusal::Why::unknown_key)
      all.push_back({fmt::format("handshakes with a key that no device has, the last one from {} with {}", to_string(one.from),
                                 to_base64(one.public_key)),
                     "if it is a device of yours: give it its configuration (drpf device config DEVICE), or add it with this key",
                     one.times, one.last});
    else
      all.push_back({fmt::format("handshakes that are meant for another gateway's key, the last one from {}", to_string(one.from)),
                     "if it is a device of yours: its configuration is of a gateway that was here before; give it its own (drpf device "
                     "config DEVICE)",
                     one.times, one.last});
  }
  return all;
}

std::vector<DeviceStatus> WireGuardWayIn::status() const {
  std::vector<DeviceStatus> all;
  for (const auto& reported : engine_->status())
    if (const auto device = device_of(reported.public_key)) all.push_back(status_of(devices_.at(*device), reported));
  return all;
}

std::optional<DeviceStatus> WireGuardWayIn::status(lease::DeviceId device) const {
  const auto found = devices_.find(device);
  if (found == devices_.end()) return std::nullopt;
  const auto& entry = found->second;
  auto status = status_of(entry, engine_->status(entry.peer.public_key).value_or(PeerStatus{}));
  if (!status.endpoint) status.endpoint = entry.peer.endpoint;
  return status;
}

}  // namespace drpf::tunnel::wireguard_devices
