#include "support/memory_store.h"

#include <fmt/core.h>

#include <set>
#include <string_view>
#include <variant>

#include "store/deadlines.h"

namespace drpf::tests {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

Error refused(std::string_view what) {
  return failure("record_refused", fmt::format("the store refuses a record that contradicts the others ({})", what), "");
}

}  // namespace

void MemoryStore::Contents::apply(const lease::RecordChange& record) {
  std::visit(
      Overloaded{
          [&](const lease::PutAccount& put) { accounts[put.account.id] = put.account; },
          [&](const lease::DropAccount& drop) { accounts.erase(drop.id); },
          [&](const lease::PutDevice& put) { devices[put.device.id] = put.device; },
          [&](const lease::DropDevice& drop) {
            devices.erase(drop.id);
            peers.erase(drop.id);
            openvpn_devices.erase(drop.id);
          },
          [&](const lease::PutGrant& put) { grants[put.grant.id] = put.grant; },
          [&](const lease::DropGrant& drop) { grants.erase(drop.id); },
          [&](const lease::PutLease& put) { leases[put.lease.on] = put.lease; },
          [&](const lease::DropLease& drop) { leases.erase(drop.on); },
          [&](const lease::PutQuarantine& put) { quarantines[{put.quarantine.host, put.quarantine.ports.first()}] = put.quarantine; },
          [&](const lease::DropQuarantine& drop) { quarantines.erase({drop.quarantine.host, drop.quarantine.ports.first()}); }},
      record);
}

void MemoryStore::Contents::convert_deadlines(const store::ClockReading& now) {
  const auto by = store::conversion(clock, now);
  clock = now;
  if (!by) return;
  for (auto& [on, lease] : leases)
    if (lease.state == lease::LeaseState::active) lease.deadline = store::convert_deadline(lease.deadline, *by, now);
  for (auto& [id, grant] : grants)
    if (grant.kept_until) grant.kept_until = store::convert_rest(*grant.kept_until, *by, now);
  for (auto& [at, quarantine] : quarantines) quarantine.until = store::convert_rest(quarantine.until, *by, now);
  epoch_started = store::convert_epoch(epoch_started, *by, now);
}

Status MemoryStore::Contents::consistent() const {
  std::set<std::string_view> account_names;
  std::set<std::string_view> device_names;
  std::set<std::array<std::uint8_t, 32>> keys;
  for (const auto& [id, account] : accounts)
    if (!account_names.insert(account.name).second) return fail(refused("two accounts of one name"));
  for (const auto& [id, device] : devices) {
    if (!accounts.contains(device.account)) return fail(refused("a device without its account"));
    if (!device_names.insert(device.name).second) return fail(refused("two devices of one name"));
  }
  for (const auto& [id, grant] : grants)
    if (!accounts.contains(grant.account) || !devices.contains(grant.device)) return fail(refused("a grant without its device"));
  for (const auto& [on, lease] : leases)
    if (!grants.contains(lease.grant) || !devices.contains(lease.device)) return fail(refused("a lease without its grant"));
  for (const auto& [id, peer] : peers) {
    if (!devices.contains(id)) return fail(refused("a peer without its device"));
    if (!keys.insert(peer.public_key).second) return fail(refused("two peers of one key"));
  }
  for (const auto& [id, device] : openvpn_devices)
    if (!devices.contains(id)) return fail(refused("a certificate without its device"));
  return {};
}

Result<lease::State> MemoryStore::load(const store::ClockReading& now) {
  if (refuses_loads_) return fail(failure("store_unreadable", "the test's store cannot be read"));
  contents_.convert_deadlines(now);
  lease::State state;
  for (const auto& [id, account] : contents_.accounts) state.accounts.push_back(account);
  for (const auto& [id, device] : contents_.devices) state.devices.push_back(device);
  for (const auto& [id, grant] : contents_.grants) state.grants.push_back(grant);
  for (const auto& [on, lease] : contents_.leases) state.leases.push_back(lease);
  for (const auto& [at, quarantine] : contents_.quarantines) state.quarantines.push_back(quarantine);
  state.generations_used_to = contents_.generations_used_to;
  state.next_id = contents_.next_id;
  state.addresses_used_to = contents_.addresses_used_to;
  state.epoch_started = contents_.epoch_started;
  return state;
}

Status MemoryStore::commit(const lease::Transaction& transaction, const store::ClockReading& now) {
  return commit_with(transaction, {}, now);
}

Result<std::optional<store::WireGuardIdentity>> MemoryStore::load_wireguard_identity() { return identity_; }

Status MemoryStore::save_wireguard_identity(const store::WireGuardIdentity& identity) {
  if (std::exchange(fail_next_, false)) return fail(failure("disk_full", "the store was told to fail", ""));
  identity_ = identity;
  return {};
}

Result<std::vector<store::WireGuardPeer>> MemoryStore::load_wireguard_peers() {
  std::vector<store::WireGuardPeer> peers;
  for (const auto& [id, peer] : contents_.peers) peers.push_back(peer);
  return peers;
}

Status MemoryStore::save_wireguard_peers(const std::vector<store::WireGuardPeer>& peers) {
  return commit_with({}, {peers, {}}, contents_.clock);
}

Status MemoryStore::save_openvpn_identity(const store::OpenVpnIdentity& identity) {
  if (std::exchange(fail_next_, false)) return fail(failure("disk_full", "the store was told to fail", ""));
  openvpn_identity_ = identity;
  return {};
}

Result<std::vector<store::OpenVpnDevice>> MemoryStore::load_openvpn_devices() {
  std::vector<store::OpenVpnDevice> devices;
  for (const auto& [id, device] : contents_.openvpn_devices) devices.push_back(device);
  return devices;
}

Status MemoryStore::commit_with(const lease::Transaction& transaction, const store::Credentials& credentials,
                                const store::ClockReading& now) {
  if (std::exchange(fail_next_, false)) return fail(failure("disk_full", "the store was told to fail", ""));
  auto next = contents_;
  next.convert_deadlines(now);
  for (const auto& record : transaction.records) next.apply(record);
  for (const auto& peer : credentials.wireguard) next.peers[peer.device] = peer;
  for (const auto& device : credentials.openvpn) next.openvpn_devices[device.device] = device;
  if (transaction.generations_used_to != 0) next.generations_used_to = transaction.generations_used_to;
  if (transaction.next_id != 0) next.next_id = transaction.next_id;
  if (transaction.addresses_used_to != 0) next.addresses_used_to = transaction.addresses_used_to;
  if (auto sound = next.consistent(); !sound) return sound;
  contents_ = std::move(next);
  return {};
}

}  // namespace drpf::tests
