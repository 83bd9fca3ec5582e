#include "lease/lease_book.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "lease/draft.h"
#include "lease/lease_request.h"
#include "lease/mapping.h"
#include "lease/merge.h"
#include "lease/port_choice.h"
#include "lease/presence.h"
#include "lease/renamed_hosts.h"
#include "lease/tables.h"
#include "lease/tunnel_addresses.h"
#include "lease/upkeep.h"
#include "lease/validation.h"

namespace drpf::lease {

struct LeaseBook::Impl {
  Tables tables;
};

namespace {

template <class Entry>
auto unknown(std::string_view what, Entry id) {
  return fail(not_found(fmt::format("{}_unknown", what),
                        fmt::format("there is no {} with the number {}", what, static_cast<std::uint32_t>(id)),
                        fmt::format("see: drpf {} list", what)));
}

std::string text_of(const PublicPort& on) {
  return fmt::format("port {}/{} of host {}", to_string(on.port), to_string(on.protocol), on.host);
}

auto lease_unknown(const PublicPort& on) {
  return fail(not_found("lease_unknown", fmt::format("there is no lease on {}", text_of(on)), "see: drpf lease list"));
}

Status check_plan(const Tables& tables, std::string_view name) {
  if (tables.plan(name)) return {};
  std::string known;
  for (const auto& plan : tables.policy().plans) known += (known.empty() ? "" : ", ") + plan.name;
  return fail(not_found("plan_unknown", fmt::format("there is no plan '{}'", name), fmt::format("choose one of: {}", known)));
}

template <class Map, class Find>
auto pointers(const Map& map, Find find) {
  std::vector<decltype(find(*map.begin()))> found;
  found.reserve(map.size());
  for (const auto& one : map) found.push_back(find(one));
  return found;
}

}  // namespace

LeaseBook::LeaseBook(Policy policy, State state) : impl_(std::make_unique<Impl>(Impl{Tables(std::move(policy), std::move(state))})) {}
LeaseBook::~LeaseBook() = default;
LeaseBook::LeaseBook(LeaseBook&&) noexcept = default;
LeaseBook& LeaseBook::operator=(LeaseBook&&) noexcept = default;

Result<Decided<Account>> LeaseBook::add_account(std::string_view name, std::optional<std::string_view> plan) const {
  const auto& tables = impl_->tables;
  if (auto named = validate_name("account", name); !named) return fail(std::move(named.error()));
  if (tables.account(name)) return fail(refusal("name_taken", fmt::format("there is an account {} already", name), "choose another name"));
  if (plan)
    if (auto known = check_plan(tables, *plan); !known) return fail(std::move(known.error()));
  if (tables.account_names().size() >= policy().accounts_max)
    return fail(refusal("account_limit", fmt::format("there are {} accounts, as many as the configuration allows", policy().accounts_max),
                        "raise accounts_max in the configuration"));
  Draft draft(tables, {});
  Account account;
  account.id = AccountId{draft.new_id()};
  account.name = name;
  account.plan = plan ? std::string(*plan) : policy().default_plan;
  draft.record(PutAccount{account});
  return Decided<Account>{std::move(account), draft.take()};
}

Result<Transaction> LeaseBook::set_account(AccountId id, std::optional<std::string_view> plan, std::optional<bool> suspended,
                                           Time now) const {
  const auto& tables = impl_->tables;
  const auto* entry = tables.account(id);
  if (!entry) return unknown("account", id);
  if (plan)
    if (auto known = check_plan(tables, *plan); !known) return fail(std::move(known.error()));
  Draft draft(tables, now);
  auto account = entry->account;
  if (plan) account.plan = *plan;
  if (suspended) account.suspended = *suspended;
  if (account == entry->account) return draft.take();
  draft.record(PutAccount{account});
  if (account.suspended != entry->account.suspended)
    for (const auto device : entry->devices) (account.suspended ? suspend : resume)(draft, tables, *tables.device(device));
  if (entry->account.suspended && !account.suspended) rest_again(draft, tables, *entry);
  return draft.take();
}

Result<Transaction> LeaseBook::remove_account(AccountId id, Time now) const {
  const auto& tables = impl_->tables;
  const auto* entry = tables.account(id);
  if (!entry) return unknown("account", id);
  Draft draft(tables, now);
  for (const auto device : entry->devices) dissolve(draft, tables, *tables.device(device));
  draft.record(DropAccount{id});
  return draft.take();
}

Result<Decided<Device>> LeaseBook::add_device(AccountId account, std::string_view name) const {
  const auto& tables = impl_->tables;
  const auto* entry = tables.account(account);
  if (!entry) return unknown("account", account);
  if (auto named = validate_name("device", name); !named) return fail(std::move(named.error()));
  if (const auto* other = tables.device(name))
    return fail(refusal(
        "name_taken", fmt::format("there is a device {} already, of account {}", name, tables.account(other->device.account)->account.name),
        "choose another name: device names are unique over all accounts"));
  if (entry->devices.size() >= policy().devices_per_account_max)
    return fail(
        refusal("device_limit",
                fmt::format("account {} has {} devices, as many as the configuration allows", entry->account.name, entry->devices.size()),
                "remove a device, or raise devices_per_account_max in the configuration"));
  const auto addresses = next_tunnel_addresses(policy().tunnel_v4, policy().tunnel_v6, tables.addresses_used_to(),
                                               [&](const Address& address) { return tables.device_at(address) != nullptr; });
  if (!addresses)
    return fail(refusal("addresses_exhausted",
                        fmt::format("all addresses of the tunnel prefix {} are given", to_string(policy().tunnel_v4)),
                        "remove a device, or widen the tunnel prefix in the configuration"));
  Draft draft(tables, {});
  draft.address_given(addresses->offset);
  Device device;
  device.id = DeviceId{draft.new_id()};
  device.account = account;
  device.name = name;
  device.tunnel_v4 = addresses->v4;
  device.tunnel_v6 = addresses->v6;
  draft.record(PutDevice{device});
  return Decided<Device>{std::move(device), draft.take()};
}

Result<Transaction> LeaseBook::remove_device(DeviceId id, Time now) const {
  const auto* entry = impl_->tables.device(id);
  if (!entry) return unknown("device", id);
  Draft draft(impl_->tables, now);
  dissolve(draft, impl_->tables, *entry);
  return draft.take();
}

Result<LeaseBook::Connected> LeaseBook::connect(DeviceId id, Time now) const {
  const auto* entry = impl_->tables.device(id);
  if (!entry) return unknown("device", id);
  if (!policy().tunnel_v4.contains(entry->device.tunnel_v4))
    return fail(refusal("addresses_exhausted",
                        fmt::format("device {} has the address {}, which is outside the tunnel prefix {}", entry->device.name,
                                    to_string(entry->device.tunnel_v4), to_string(policy().tunnel_v4)),
                        "widen the tunnel prefix in the configuration"));
  Draft draft(impl_->tables, now);
  auto shortfall = arrive(draft, impl_->tables, *entry);
  return Connected{draft.take(), std::move(shortfall)};
}

Result<Transaction> LeaseBook::disconnect(DeviceId id, Time now) const {
  const auto* entry = impl_->tables.device(id);
  if (!entry) return unknown("device", id);
  Draft draft(impl_->tables, now);
  if (entry->device.connected) depart(draft, impl_->tables, *entry);
  return draft.take();
}

Result<Decided<std::vector<Lease>>> LeaseBook::add_lease(const LeaseRequest& request, Time now) const {
  return decide(request, impl_->tables, now);
}

Result<Transaction> LeaseBook::set_lease(const PublicPort& on, Port local_port, Time now) const {
  const auto* lease = impl_->tables.lease(on);
  if (!lease) return lease_unknown(on);
  if (local_port.is_zero())
    return fail(refusal("port_zero", fmt::format("{} cannot lead to port 0", text_of(on)), "name a local port from 1 to 65535"));
  Draft draft(impl_->tables, now);
  if (lease->local_port == local_port) return draft.take();
  auto changed = *lease;
  changed.local_port = local_port;
  if (changed.mapping) changed.mapping->local_port_after = local_port;
  if (lease->state == LeaseState::active) changed = draft.activated(std::move(changed), lease->deadline);
  draft.change(lease, &changed, impl_->tables.device(lease->device)->device);
  return draft.take();
}

Result<Transaction> LeaseBook::remove_lease(const PublicPort& on, Time now) const {
  const auto& tables = impl_->tables;
  const auto* lease = tables.lease(on);
  if (!lease) return lease_unknown(on);
  const auto& grant = *tables.grant(lease->grant);
  std::vector<Lease> rest;
  for (const auto* one : tables.leases_of(grant))
    if (one->on != on) rest.push_back(*one);
  Draft draft(tables, now);
  draft.reshape(grant, grant, std::move(rest), tables.device(grant.device)->device);
  return draft.take();
}

Result<Decided<std::vector<Lease>>> LeaseBook::map(const MappingRequest& request, Time now) const {
  return decide(request, impl_->tables, now);
}

Result<Decided<std::size_t>> LeaseBook::end_mappings(const MappingEnd& end, Time now) const { return decide(end, impl_->tables, now); }

Transaction LeaseBook::tick(Time now, std::size_t limit) const { return what_time_brings(impl_->tables, now, limit); }
std::optional<Time> LeaseBook::next_deadline() const { return next_time(impl_->tables); }
Transaction LeaseBook::reconfigure(const Policy& policy, Time now) const {
  const auto renamed = renamed_hosts(impl_->tables, policy);
  if (renamed.empty()) return under_policy(impl_->tables, policy, now);
  // First the names, under the policy as it was but for them; then the rest, on the book with the names.
  auto between = this->policy();
  for (auto& host : between.hosts)
    if (const auto found = renamed.find(host.name); found != renamed.end()) host.name = found->second;
  std::array<Transaction, 2> steps{rename_hosts(impl_->tables, renamed, now), {}};
  Tables renaming(std::move(between), state());
  renaming.apply(steps[0]);
  steps[1] = under_policy(renaming, policy, now);
  return merge(steps);
}
void LeaseBook::adopt(Policy policy) noexcept { impl_->tables.adopt(std::move(policy)); }
void LeaseBook::apply(const Transaction& transaction) noexcept { impl_->tables.apply(transaction); }

const Policy& LeaseBook::policy() const { return impl_->tables.policy(); }

const Account* LeaseBook::account(AccountId id) const {
  const auto* entry = impl_->tables.account(id);
  return entry ? &entry->account : nullptr;
}

const Account* LeaseBook::account(std::string_view name) const {
  const auto* entry = impl_->tables.account(name);
  return entry ? &entry->account : nullptr;
}

const Device* LeaseBook::device(DeviceId id) const {
  const auto* entry = impl_->tables.device(id);
  return entry ? &entry->device : nullptr;
}

const Device* LeaseBook::device(std::string_view name) const {
  const auto* entry = impl_->tables.device(name);
  return entry ? &entry->device : nullptr;
}

const Device* LeaseBook::device_at(const Address& tunnel_address) const {
  const auto* entry = impl_->tables.device_at(tunnel_address);
  return entry ? &entry->device : nullptr;
}

const Grant* LeaseBook::grant(GrantId id) const { return impl_->tables.grant(id); }
const Lease* LeaseBook::lease(const PublicPort& on) const { return impl_->tables.lease(on); }
const Plan* LeaseBook::plan(std::string_view name) const { return impl_->tables.plan(name); }
const PublicHost* LeaseBook::host(std::string_view name) const { return impl_->tables.host(name); }

std::vector<const Account*> LeaseBook::accounts() const {
  return pointers(impl_->tables.account_names(), [&](const auto& named) { return account(named.second); });
}

std::vector<const Device*> LeaseBook::devices() const {
  return pointers(impl_->tables.device_names(), [&](const auto& named) { return device(named.second); });
}

std::vector<const Device*> LeaseBook::devices_of(AccountId account) const {
  const auto* entry = impl_->tables.account(account);
  if (!entry) return {};
  return pointers(entry->devices, [&](DeviceId id) { return device(id); });
}

std::vector<const Lease*> LeaseBook::leases() const {
  std::vector<const Lease*> found;
  for (const auto& [name, host] : impl_->tables.hosts())
    for (const auto& [key, entry] : host.leases) found.push_back(&entry.lease);
  return found;
}

std::vector<const Lease*> LeaseBook::leases_of(DeviceId device) const {
  std::vector<const Lease*> found;
  const auto* entry = impl_->tables.device(device);
  if (!entry) return found;
  for (const auto id : entry->grants)
    for (const auto* lease : impl_->tables.leases_of(*grant(id))) found.push_back(lease);
  std::sort(found.begin(), found.end(), [](const Lease* a, const Lease* b) { return a->on < b->on; });
  return found;
}

std::vector<const Lease*> LeaseBook::mappings_of(DeviceId device) const {
  std::vector<const Lease*> found;
  const auto* entry = impl_->tables.device(device);
  if (!entry) return found;
  for (const auto& [key, on] : entry->mappings) found.push_back(lease(on));
  std::sort(found.begin(), found.end(), [](const Lease* a, const Lease* b) { return a->on < b->on; });
  return found;
}

const Lease* LeaseBook::mapping(DeviceId device, Protocol protocol, Port internal_port) const {
  const auto* entry = impl_->tables.device(device);
  if (!entry) return nullptr;
  const auto found = entry->mappings.find(HostPorts::key(protocol, internal_port));
  return found == entry->mappings.end() ? nullptr : lease(found->second);
}

const PublicHost* LeaseBook::host_of(DeviceId device) const {
  const auto* entry = impl_->tables.device(device);
  return entry ? host(usual_host(impl_->tables, *entry)) : nullptr;
}

std::vector<const Grant*> LeaseBook::grants_of(AccountId account) const {
  std::vector<const Grant*> found;
  const auto* entry = impl_->tables.account(account);
  if (!entry) return found;
  for (const auto id : entry->devices)
    for (const auto held : impl_->tables.device(id)->grants) found.push_back(grant(held));
  return found;
}

std::vector<const Quarantine*> LeaseBook::quarantines() const {
  std::vector<const Quarantine*> found;
  for (const auto& [name, host] : impl_->tables.hosts())
    for (const auto& [first, quarantine] : host.quarantines) found.push_back(&quarantine);
  return found;
}

std::uint32_t LeaseBook::ports_held(AccountId account) const {
  const auto* entry = impl_->tables.account(account);
  return entry ? entry->ports_held : 0;
}

std::uint32_t LeaseBook::ports_resting(AccountId account) const {
  const auto* entry = impl_->tables.account(account);
  return entry ? entry->ports_resting : 0;
}

Time LeaseBook::epoch_started() const { return impl_->tables.epoch_started(); }

std::uint64_t LeaseBook::ports_free() const {
  std::uint64_t free = 0;
  for (const auto& host : policy().hosts) free += impl_->tables.free_ports(host.name).size();
  return free;
}

State LeaseBook::state() const {
  const auto& tables = impl_->tables;
  State state;
  for (const auto* account : accounts()) state.accounts.push_back(*account);
  for (const auto* device : devices()) state.devices.push_back(*device);
  for (const auto& [id, grant] : tables.grants()) state.grants.push_back(grant);
  for (const auto* lease : leases()) state.leases.push_back(*lease);
  for (const auto* quarantine : quarantines()) state.quarantines.push_back(*quarantine);
  std::sort(state.accounts.begin(), state.accounts.end(), [](const Account& a, const Account& b) { return a.id < b.id; });
  std::sort(state.devices.begin(), state.devices.end(), [](const Device& a, const Device& b) { return a.id < b.id; });
  state.generations_used_to = tables.generations_used_to();
  state.next_id = tables.next_id();
  state.addresses_used_to = tables.addresses_used_to();
  state.epoch_started = tables.epoch_started();
  return state;
}

std::vector<Redirection> LeaseBook::redirections() const {
  std::vector<Redirection> found;
  for (const auto* lease : leases())
    for (auto& one : redirections_of(*lease)) found.push_back(one);
  return found;
}

std::vector<Redirection> LeaseBook::redirections_of(const Lease& lease) const {
  const auto* holder = device(lease.device);
  if (!holder) return {};
  return lease::redirections(lease, host(lease.on.host), *holder);
}

}  // namespace drpf::lease
