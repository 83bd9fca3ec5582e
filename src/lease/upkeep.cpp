#include "lease/upkeep.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include "lease/draft.h"
#include "lease/presence.h"
#include "lease/tunnel_addresses.h"

namespace drpf::lease {

namespace {

struct DueLeases {
  std::set<DeviceId> lost;                        // devices whose leases ran out
  std::map<GrantId, std::set<PublicPort>> ended;  // requested leases and mappings at their end
  std::vector<const Lease*> renewals;
};

DueLeases due_leases(const Tables& tables, Time now, std::size_t leases_max) {
  DueLeases due;
  std::size_t looked_at = 0;
  for (const auto& entry : tables.due_leases()) {
    if (entry.at > now || looked_at++ == leases_max) break;
    const auto& lease = tables.ports_of(entry.host).leases.at(entry.key).lease;
    if (lease.ends_by_itself())
      due.ended[lease.grant].insert(lease.on);
    else if (lease.deadline <= now)
      due.lost.insert(lease.device);
    else
      due.renewals.push_back(&lease);
  }
  return due;
}

Duration lifetime_of(const Tables& tables, const Lease& lease) {
  return tables.plan_of(tables.account(tables.device(lease.device)->device.account)->account).lease_lifetime;
}

Lease renewed(const Tables& tables, const Lease& lease, Time now) {
  auto longer = lease;
  longer.deadline = now + lifetime_of(tables, lease);
  return longer;
}

void end_by_themselves(Draft& draft, const Tables& tables, const Grant& grant, const std::set<PublicPort>& ended) {
  std::vector<Lease> leases;
  for (const auto* lease : tables.leases_of(grant)) {
    if (ended.contains(lease->on)) {
      if (auto after = without_mapping(draft, *lease, draft.now() + lifetime_of(tables, *lease))) leases.push_back(std::move(*after));
      continue;
    }
    // One that ran out is not brought back: it shows that its device is lost.
    const bool renew = !lease->ends_by_itself() && lease->state == LeaseState::active && lease->deadline > draft.now() &&
                       is_renewal_due(*lease, lifetime_of(tables, *lease), draft.now());
    leases.push_back(renew ? renewed(tables, *lease, draft.now()) : *lease);
  }
  draft.reshape(grant, grant, std::move(leases), tables.device(grant.device)->device);
}

// Of a grant whose grace is over, what was fixed stays, as a fixed grant.
void end_grace(Draft& draft, const Tables& tables, const Grant& grant) {
  auto shape = grant;
  shape.kind = LeaseKind::fixed;
  shape.kept_until.reset();
  std::vector<Lease> leases;
  for (const auto* lease : tables.leases_of(grant))
    if (lease->kind == LeaseKind::fixed) leases.push_back(*lease);
  draft.reshape(grant, shape, std::move(leases), tables.device(grant.device)->device);
}

// Where every device is under the new tunnel prefixes. It keeps its place in the prefix, so that one which comes back gives every device
// its old address: whoever is inside stays, then the oldest first, and who finds its place taken or outside gets another.
class Relocation {
 public:
  Relocation(Draft& draft, const Tables& tables, const Policy& policy)
      : draft_(draft), policy_(policy), used_to_(tables.addresses_used_to()) {
    std::vector<const Device*> by_age;
    for (const auto& [name, id] : tables.device_names()) by_age.push_back(&tables.device(id)->device);
    std::sort(by_age.begin(), by_age.end(), [](const Device* a, const Device* b) { return a->id < b->id; });
    std::stable_partition(by_age.begin(), by_age.end(), [&](const Device* one) { return policy.tunnel_v4.contains(one->tunnel_v4); });
    for (const auto* device : by_age) {
      const auto offset = same_place(policy.tunnel_v4, device->tunnel_v4);
      if (is_device_offset(policy.tunnel_v4, offset) && taken_.insert(policy.tunnel_v4.nth(offset)).second)
        kept_.emplace(device->id, offset);
    }
  }

  // nullopt: no address is left for it.
  std::optional<Device> place(const Device& device) {
    std::optional<TunnelAddresses> addresses;
    if (const auto kept = kept_.find(device.id); kept != kept_.end()) {
      addresses = tunnel_addresses_at(policy_.tunnel_v4, policy_.tunnel_v6, kept->second);
    } else {
      addresses = next_tunnel_addresses(policy_.tunnel_v4, policy_.tunnel_v6, used_to_,
                                        [this](const Address& address) { return taken_.contains(address); });
      if (!addresses) return std::nullopt;
      used_to_ = addresses->offset;
      draft_.address_given(used_to_);
      taken_.insert(addresses->v4);
    }
    auto placed = device;
    placed.tunnel_v4 = addresses->v4;
    placed.tunnel_v6 = addresses->v6;
    return placed;
  }

 private:
  Draft& draft_;
  const Policy& policy_;
  std::uint32_t used_to_;
  std::unordered_set<Address> taken_;
  std::map<DeviceId, std::uint32_t> kept_;  // offsets in the prefix
};

bool is_possible(const Policy& policy, const PublicPort& on) {
  const bool host = std::any_of(policy.hosts.begin(), policy.hosts.end(), [&](const PublicHost& one) { return one.name == on.host; });
  const bool reserved =
      std::any_of(policy.reserved.begin(), policy.reserved.end(), [&](PortRange range) { return range.contains(on.port); });
  return host && !reserved && policy.pool.contains(on.port);
}

void review(Draft& draft, const Tables& tables, const Policy& policy, const DeviceEntry& entry, const std::optional<Device>& placed) {
  if (!placed) {
    if (entry.device.connected) depart(draft, tables, entry);
    return;
  }
  // Also where no address of the host tells the two apart now: a connection that is still known leads to the former place.
  const bool moves = placed->tunnel_v4 != entry.device.tunnel_v4 || placed->tunnel_v6 != entry.device.tunnel_v6;
  if (*placed != entry.device) draft.record(PutDevice{*placed});
  for (const auto id : entry.grants) {
    const auto& grant = *tables.grant(id);
    const auto host = std::find_if(policy.hosts.begin(), policy.hosts.end(), [&](const PublicHost& one) { return one.name == grant.host; });
    std::vector<Lease> leases;
    for (const auto* lease : tables.leases_of(grant)) {
      if (!is_possible(policy, lease->on)) continue;
      leases.push_back(*lease);
      const auto now = redirections(*lease, tables.host(grant.host), entry.device);
      const auto then = redirections(*lease, &*host, *placed);
      if (now != then || (moves && lease->state == LeaseState::active)) leases.back() = draft.activated(*lease, lease->deadline);
    }
    draft.reshape(grant, grant, std::move(leases), *placed);
  }
}

}  // namespace

Transaction what_time_brings(const Tables& tables, Time now, std::size_t leases_max) {
  Draft draft(tables, now);
  const auto due = due_leases(tables, now, leases_max);
  for (const auto id : due.lost) depart(draft, tables, *tables.device(id));
  for (const auto& [id, ended] : due.ended) {
    const auto& grant = *tables.grant(id);
    if (!due.lost.contains(grant.device)) end_by_themselves(draft, tables, grant, ended);
  }
  for (const auto* lease : due.renewals) {
    if (due.lost.contains(lease->device) || due.ended.contains(lease->grant)) continue;
    const auto longer = renewed(tables, *lease, now);
    draft.change(lease, &longer, tables.device(lease->device)->device);
  }
  for (const auto& [at, id] : tables.grace_ends()) {
    if (at > now) break;
    end_grace(draft, tables, *tables.grant(id));
  }
  for (const auto& end : tables.quarantine_ends()) {
    if (end.at > now) break;
    draft.record(DropQuarantine{tables.ports_of(end.host).quarantines.at(end.first)});
  }
  return draft.take();
}

std::optional<Time> next_time(const Tables& tables) {
  std::optional<Time> next;
  const auto consider = [&](Time time) { next = next ? std::min(*next, time) : time; };
  if (!tables.due_leases().empty()) consider(tables.due_leases().begin()->at);
  if (!tables.grace_ends().empty()) consider(tables.grace_ends().begin()->first);
  if (!tables.quarantine_ends().empty()) consider(tables.quarantine_ends().begin()->at);
  return next;
}

Transaction under_policy(const Tables& tables, const Policy& policy, Time now) {
  Draft draft(tables, now, policy);
  Relocation relocation(draft, tables, policy);
  for (const auto& [name, id] : tables.device_names()) {
    const auto& entry = *tables.device(id);
    review(draft, tables, policy, entry, relocation.place(entry.device));
  }
  return draft.take();
}

}  // namespace drpf::lease
