#include "lease/tables.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace drpf::lease {

namespace {

template <class Map, class Key>
auto* find_or_null(Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

// The range of `ranges` (by first port) that may contain `port`.
template <class Ranges>
auto starting_at_or_before(Ranges& ranges, Port port) {
  auto next = ranges.upper_bound(port);
  return next == ranges.begin() ? ranges.end() : std::prev(next);
}

constexpr std::array both_protocols{Protocol::tcp, Protocol::udp};

}  // namespace

Tables::Tables(Policy policy, State state)
    : generations_used_to_(state.generations_used_to),
      next_id_(state.next_id),
      addresses_used_to_(state.addresses_used_to),
      epoch_started_(state.epoch_started) {
  adopt(std::move(policy));
  for (auto& account : state.accounts) change(PutAccount{std::move(account)});
  for (auto& device : state.devices) change(PutDevice{std::move(device)});
  for (auto& grant : state.grants) change(PutGrant{std::move(grant)});
  for (auto& lease : state.leases) change(PutLease{std::move(lease)});
  for (auto& quarantine : state.quarantines) change(PutQuarantine{std::move(quarantine)});
}

void Tables::adopt(Policy policy) {
  policy_ = std::move(policy);
  leasable_ = {};
  leasable_.insert(policy_.pool);
  for (const auto& range : policy_.reserved) leasable_.erase(range);
  for (const auto port : policy_.occupied) leasable_.erase(PortRange(port));
  leasable_.erase(PortRange(Port{0}));
  // A plan's lifetime may have changed, and with it the time of renewals.
  for (auto& [name, host] : hosts_)
    for (auto& [key, entry] : host.leases) reschedule(host, key, entry);
}

void Tables::apply(const Transaction& transaction) {
  for (const auto& record : transaction.records) std::visit([this](const auto& one) { change(one); }, record);
  if (transaction.generations_used_to != 0) generations_used_to_ = transaction.generations_used_to;
  if (transaction.next_id != 0) next_id_ = transaction.next_id;
  if (transaction.addresses_used_to != 0) addresses_used_to_ = transaction.addresses_used_to;
}

const AccountEntry* Tables::account(AccountId id) const { return find_or_null(accounts_, id); }

const AccountEntry* Tables::account(std::string_view name) const {
  const auto* id = find_or_null(account_names_, name);
  return id ? account(*id) : nullptr;
}

const DeviceEntry* Tables::device(DeviceId id) const { return find_or_null(devices_, id); }

const DeviceEntry* Tables::device(std::string_view name) const {
  const auto* id = find_or_null(device_names_, name);
  return id ? device(*id) : nullptr;
}

const DeviceEntry* Tables::device_at(const Address& address) const {
  const auto* id = find_or_null(device_addresses_, address);
  return id ? device(*id) : nullptr;
}

const Grant* Tables::grant(GrantId id) const { return find_or_null(grants_, id); }

const Grant* Tables::grant_at(std::string_view host, Port port) const {
  const auto* ports = ports_of(host);
  if (!ports) return nullptr;
  const auto before = starting_at_or_before(ports->grants, port);
  if (before == ports->grants.end()) return nullptr;
  const auto* found = grant(before->second);
  return found->ports.contains(port) ? found : nullptr;
}

const Quarantine* Tables::quarantine_at(std::string_view host, Port port) const {
  const auto* ports = ports_of(host);
  if (!ports) return nullptr;
  const auto before = starting_at_or_before(ports->quarantines, port);
  return before != ports->quarantines.end() && before->second.ports.contains(port) ? &before->second : nullptr;
}

const Lease* Tables::lease(const PublicPort& on) const {
  const auto* ports = ports_of(on.host);
  if (!ports) return nullptr;
  const auto* entry = find_or_null(ports->leases, HostPorts::key(on.protocol, on.port));
  return entry ? &entry->lease : nullptr;
}

std::vector<const Lease*> Tables::leases_of(const Grant& grant) const {
  std::vector<const Lease*> found;
  const auto* ports = ports_of(grant.host);
  if (!ports) return found;
  for (const auto protocol : both_protocols) {
    const auto end = ports->leases.upper_bound(HostPorts::key(protocol, grant.ports.last()));
    for (auto at = ports->leases.lower_bound(HostPorts::key(protocol, grant.ports.first())); at != end; ++at)
      found.push_back(&at->second.lease);
  }
  return found;
}

const HostPorts* Tables::ports_of(std::string_view host) const { return find_or_null(hosts_, host); }

const Plan* Tables::plan(std::string_view name) const {
  const auto found = std::find_if(policy_.plans.begin(), policy_.plans.end(), [&](const Plan& plan) { return plan.name == name; });
  return found == policy_.plans.end() ? nullptr : &*found;
}

const PublicHost* Tables::host(std::string_view name) const {
  const auto found = std::find_if(policy_.hosts.begin(), policy_.hosts.end(), [&](const PublicHost& host) { return host.name == name; });
  return found == policy_.hosts.end() ? nullptr : &*found;
}

const Plan& Tables::plan_of(const Account& account) const {
  const auto* own = plan(account.plan);
  if (!own) own = plan(policy_.default_plan);
  assert(own);  // validate(Policy)
  return *own;
}

PortSet Tables::free_ports(std::string_view host) const {
  const auto* ports = ports_of(host);
  return ports ? leasable_.without(ports->taken) : leasable_;
}

void Tables::change(const PutAccount& put) {
  auto& entry = accounts_[put.account.id];
  const bool pauses = put.account.suspended != entry.account.suspended;
  if (entry.account.name != put.account.name) {
    account_names_.erase(entry.account.name);
    account_names_.emplace(put.account.name, put.account.id);
  }
  entry.account = put.account;
  if (pauses) schedule_ends(entry);
  // Another plan may have another lifetime.
  for (const auto device : entry.devices)
    for (const auto id : devices_.at(device).grants)
      for (const auto* lease : leases_of(grants_.at(id))) {
        auto& host = host_ports(lease->on.host);
        const auto key = HostPorts::key(lease->on.protocol, lease->on.port);
        reschedule(host, key, host.leases.at(key));
      }
}

void Tables::change(const DropAccount& drop) {
  const auto found = accounts_.find(drop.id);
  if (found == accounts_.end()) return;
  assert(found->second.devices.empty());
  account_names_.erase(found->second.account.name);
  found->second.account.suspended = false;
  schedule_ends(found->second);
  accounts_.erase(found);
}

// Nobody else gets the ports of a suspended account: its grace and its quarantines do not end.
bool Tables::is_suspended(AccountId id) const {
  const auto* entry = account(id);
  return entry && entry->account.suspended;
}

void Tables::schedule_ends(const AccountEntry& entry) {
  const auto set = [&](auto& ends, const auto& end) {
    if (entry.account.suspended)
      ends.erase(end);
    else
      ends.insert(end);
  };
  for (const auto device : entry.devices)
    for (const auto id : devices_.at(device).grants)
      if (const auto& until = grants_.at(id).kept_until) set(grace_ends_, std::pair(*until, id));
  for (const auto& [host, first] : entry.quarantines)
    set(quarantine_ends_, QuarantineEnd{host_by_index_[host]->quarantines.at(first).until, host, first});
}

void Tables::change(const PutDevice& put) {
  const auto [found, fresh] = devices_.try_emplace(put.device.id);
  auto& entry = found->second;
  if (fresh) {
    accounts_.at(put.device.account).devices.push_back(put.device.id);
    device_names_.emplace(put.device.name, put.device.id);
  } else {
    // Where addresses move among devices in one transaction, the old one may be another's already.
    for (const auto& address : {std::optional(entry.device.tunnel_v4), entry.device.tunnel_v6})
      if (address && device_addresses_[*address] == put.device.id) device_addresses_.erase(*address);
    if (entry.device.name != put.device.name) {
      device_names_.erase(entry.device.name);
      device_names_.emplace(put.device.name, put.device.id);
    }
  }
  entry.device = put.device;
  device_addresses_[put.device.tunnel_v4] = put.device.id;
  if (put.device.tunnel_v6) device_addresses_[*put.device.tunnel_v6] = put.device.id;
}

void Tables::change(const DropDevice& drop) {
  const auto found = devices_.find(drop.id);
  if (found == devices_.end()) return;
  const auto& device = found->second.device;
  assert(found->second.grants.empty());
  std::erase(accounts_.at(device.account).devices, drop.id);
  device_names_.erase(device.name);
  device_addresses_.erase(device.tunnel_v4);
  if (device.tunnel_v6) device_addresses_.erase(*device.tunnel_v6);
  devices_.erase(found);
}

void Tables::change(const PutGrant& put) {
  if (const auto* before = grant(put.grant.id)) forget(*before);
  const auto& grant = put.grant;
  auto& host = host_ports(grant.host);
  host.grants.emplace(grant.ports.first(), grant.id);
  host.taken.insert(grant.ports);
  auto& device = devices_.at(grant.device);
  device.grants.insert(grant.id);
  if (grant.kind == LeaseKind::automatic) device.automatic_grants.insert(grant.id);
  accounts_.at(grant.account).ports_held += grant.ports.size();
  if (grant.kept_until && !is_suspended(grant.account)) grace_ends_.emplace(*grant.kept_until, grant.id);
  grants_.insert_or_assign(grant.id, grant);
}

void Tables::change(const DropGrant& drop) {
  const auto* before = grant(drop.id);
  if (!before) return;
  forget(*before);
  grants_.erase(drop.id);
}

void Tables::forget(const Grant& grant) {
  auto& host = host_ports(grant.host);
  host.grants.erase(grant.ports.first());
  host.taken.erase(grant.ports);
  auto& device = devices_.at(grant.device);
  device.grants.erase(grant.id);
  device.automatic_grants.erase(grant.id);
  accounts_.at(grant.account).ports_held -= grant.ports.size();
  if (grant.kept_until) grace_ends_.erase({*grant.kept_until, grant.id});
}

void Tables::change(const PutLease& put) {
  auto& host = host_ports(put.lease.on.host);
  const auto key = HostPorts::key(put.lease.on.protocol, put.lease.on.port);
  auto& entry = host.leases[key];
  unschedule(host, key, entry);
  forget_mapping(entry.lease);
  entry.lease = put.lease;
  remember_mapping(entry.lease);
  schedule(host, key, entry);
}

void Tables::change(const DropLease& drop) {
  auto& host = host_ports(drop.on.host);
  const auto found = host.leases.find(HostPorts::key(drop.on.protocol, drop.on.port));
  if (found == host.leases.end()) return;
  unschedule(host, found->first, found->second);
  forget_mapping(found->second.lease);
  host.leases.erase(found);
}

void Tables::change(const PutQuarantine& put) {
  auto& host = host_ports(put.quarantine.host);
  host.quarantines.insert_or_assign(put.quarantine.ports.first(), put.quarantine);
  host.taken.insert(put.quarantine.ports);
  if (!is_suspended(put.quarantine.last_holder)) quarantine_ends_.insert({put.quarantine.until, host.index, put.quarantine.ports.first()});
  if (auto* holder = find_or_null(accounts_, put.quarantine.last_holder)) {
    holder->quarantines.emplace(host.index, put.quarantine.ports.first());
    holder->ports_resting += put.quarantine.ports.size();
  }
}

void Tables::change(const DropQuarantine& drop) {
  auto& host = host_ports(drop.quarantine.host);
  const auto found = host.quarantines.find(drop.quarantine.ports.first());
  if (found == host.quarantines.end()) return;
  const auto quarantine = found->second;
  host.quarantines.erase(found);
  host.taken.erase(quarantine.ports);
  quarantine_ends_.erase({quarantine.until, host.index, quarantine.ports.first()});
  if (auto* holder = find_or_null(accounts_, quarantine.last_holder)) {
    holder->quarantines.erase({host.index, quarantine.ports.first()});
    holder->ports_resting -= quarantine.ports.size();
  }
}

HostPorts& Tables::host_ports(const std::string& name) {
  const auto [found, fresh] = hosts_.try_emplace(name);
  if (fresh) {
    found->second.index = static_cast<std::uint32_t>(host_by_index_.size());
    host_by_index_.push_back(&found->second);
    host_names_.push_back(name);
  }
  return found->second;
}

Time Tables::due_time(const Lease& lease) const {
  if (lease.ends_by_itself()) return lease.deadline;
  const auto& account = accounts_.at(devices_.at(lease.device).device.account).account;
  return lease.deadline - plan_of(account).lease_lifetime / 2;
}

void Tables::schedule(HostPorts& host, std::uint32_t key, LeaseEntry& entry) {
  if (entry.lease.state != LeaseState::active) return;
  entry.due = due_time(entry.lease);
  due_leases_.insert({entry.due, host.index, key});
  generations_.insert(static_cast<std::uint32_t>(entry.lease.generation));
}

void Tables::unschedule(HostPorts& host, std::uint32_t key, LeaseEntry& entry) {
  if (entry.lease.state != LeaseState::active) return;
  due_leases_.erase({entry.due, host.index, key});
  generations_.erase(static_cast<std::uint32_t>(entry.lease.generation));
}

void Tables::remember_mapping(const Lease& lease) {
  if (lease.mapping) devices_.at(lease.device).mappings.emplace(HostPorts::key(lease.on.protocol, lease.mapping->internal_port), lease.on);
}

void Tables::forget_mapping(const Lease& lease) {
  if (!lease.mapping) return;
  auto& mappings = devices_.at(lease.device).mappings;
  const auto [first, last] = mappings.equal_range(HostPorts::key(lease.on.protocol, lease.mapping->internal_port));
  const auto found = std::find_if(first, last, [&](const auto& one) { return one.second == lease.on; });
  if (found != last) mappings.erase(found);
}

void Tables::reschedule(HostPorts& host, std::uint32_t key, LeaseEntry& entry) {
  unschedule(host, key, entry);
  schedule(host, key, entry);
}

}  // namespace drpf::lease
