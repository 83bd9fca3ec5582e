#include "lease/presence.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "lease/port_budget.h"
#include "lease/port_choice.h"

namespace drpf::lease {

namespace {

std::vector<Lease> held_leases(const Tables& tables, const Grant& grant) {
  std::vector<Lease> leases;
  for (const auto* lease : tables.leases_of(grant))
    if (auto kept = held(*lease)) leases.push_back(std::move(*kept));
  return leases;
}

// Held leases, and those that the kernel has ended meanwhile, become active; active ones are renewed where that is due.
std::vector<Lease> active_leases(Draft& draft, const Tables& tables, const Grant& grant, Duration lifetime) {
  std::vector<Lease> leases;
  for (const auto* lease : tables.leases_of(grant)) {
    leases.push_back(*lease);
    const bool ran_out = !lease->ends_by_itself() && lease->deadline <= draft.now();
    if (lease->state == LeaseState::held || ran_out) {
      leases.back() = draft.activated(*lease, draft.now() + lifetime);
    } else if (!lease->ends_by_itself() && is_renewal_due(*lease, lifetime, draft.now())) {
      leases.back().deadline = draft.now() + lifetime;
    }
  }
  return leases;
}

std::optional<Error> give_automatic_ports(Draft& draft, const Tables& tables, const DeviceEntry& device, const Plan& plan) {
  const auto& account = *tables.account(device.device.account);
  const std::uint32_t wanted = std::min<std::uint32_t>(plan.ports_at_connect, plan.ports_max);
  const auto left = plan.ports_max - std::min(plan.ports_max, account.ports_held);
  const auto count = std::min(wanted, left);
  std::optional<Error> shortfall;
  if (count < wanted)
    shortfall = refusal("quota_exhausted",
                        fmt::format("device {} was given {} of {} ports: account {} holds {} of {} ports of plan {}", device.device.name,
                                    count, wanted, account.account.name, account.ports_held, plan.ports_max, plan.name),
                        "remove a lease or a device of the account, or move it to a larger plan");
  if (count == 0) return shortfall;
  const auto chosen = choose_ports(tables, device, count, std::nullopt);
  if (!chosen) return chosen.error();
  if (const auto rest = check_rest_allows(tables, account, chosen->host, chosen->ports); !rest) return rest.error();

  Grant grant;
  grant.account = device.device.account;
  grant.device = device.device.id;
  grant.host = chosen->host;
  grant.ports = chosen->ports;
  std::vector<Lease> leases;
  for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
    for (std::uint32_t i = 0; i < count; ++i) {
      Lease lease;
      lease.on = {chosen->host, protocol, Port{static_cast<std::uint16_t>(chosen->ports.first().value() + i)}};
      lease.device = device.device.id;
      lease.local_port = lease.on.port;
      leases.push_back(draft.activated(std::move(lease), draft.now() + plan.lease_lifetime));
    }
  }
  draft.claim(chosen->host, chosen->ports);
  draft.give(std::move(grant), std::move(leases), device.device);
  return shortfall;
}

}  // namespace

std::optional<Lease> held(const Lease& lease) {
  if (lease.kind == LeaseKind::requested) return std::nullopt;
  auto away = lease;
  if (away.mapping) away.local_port = away.mapping->local_port_after;
  away.mapping.reset();
  away.state = LeaseState::held;
  away.generation = Generation::none;
  away.deadline = {};
  return away;
}

std::optional<Lease> without_mapping(Draft& draft, const Lease& lease, Time deadline) {
  if (lease.kind == LeaseKind::requested) return std::nullopt;
  auto after = lease;
  if (after.mapping) after.local_port = after.mapping->local_port_after;
  after.mapping.reset();
  // What the kernel has ended, or what leads elsewhere, is an activation of its own.
  if (after.local_port != lease.local_port || lease.deadline <= draft.now()) return draft.activated(std::move(after), deadline);
  after.deadline = deadline;
  return after;
}

bool is_renewal_due(const Lease& lease, Duration lifetime, Time now) { return lease.deadline - lifetime / 2 <= now; }

std::optional<Error> arrive(Draft& draft, const Tables& tables, const DeviceEntry& device) {
  const auto& account = tables.account(device.device.account)->account;
  const auto& plan = tables.plan_of(account);
  auto here = device.device;
  here.connected = true;
  if (here != device.device) draft.record(PutDevice{here});
  bool has_automatic = false;
  for (const auto id : device.grants) {
    const auto& grant = *tables.grant(id);
    auto shape = grant;
    shape.kept_until.reset();
    has_automatic |= grant.kind == LeaseKind::automatic;
    draft.reshape(grant, shape, account.suspended ? held_leases(tables, grant) : active_leases(draft, tables, grant, plan.lease_lifetime),
                  here);
  }
  if (account.suspended)
    return refusal("account_suspended", fmt::format("device {} gets no ports: account {} is suspended", here.name, account.name),
                   fmt::format("lift it with: drpf account set {} --resume", account.name));
  if (has_automatic) return std::nullopt;
  return give_automatic_ports(draft, tables, device, plan);
}

void depart(Draft& draft, const Tables& tables, const DeviceEntry& device) {
  auto away = device.device;
  away.connected = false;
  draft.record(PutDevice{away});
  for (const auto id : device.grants) {
    const auto& grant = *tables.grant(id);
    auto shape = grant;
    if (grant.kind == LeaseKind::automatic) shape.kept_until = draft.now() + tables.policy().grace;
    draft.reshape(grant, shape, held_leases(tables, grant), away);
  }
}

void suspend(Draft& draft, const Tables& tables, const DeviceEntry& device) {
  for (const auto id : device.grants) {
    const auto& grant = *tables.grant(id);
    draft.reshape(grant, grant, held_leases(tables, grant), device.device);
  }
}

void resume(Draft& draft, const Tables& tables, const DeviceEntry& device) {
  const auto lifetime = tables.plan_of(tables.account(device.device.account)->account).lease_lifetime;
  for (const auto id : device.grants) {
    const auto& grant = *tables.grant(id);
    auto shape = grant;
    if (grant.kept_until) shape.kept_until = draft.now() + tables.policy().grace;
    draft.reshape(grant, shape, device.device.connected ? active_leases(draft, tables, grant, lifetime) : held_leases(tables, grant),
                  device.device);
  }
}

void rest_again(Draft& draft, const Tables& tables, const AccountEntry& account) {
  for (const auto& [host, first] : account.quarantines) {
    auto quarantine = tables.ports_of(host).quarantines.at(first);
    draft.record(DropQuarantine{quarantine});
    quarantine.until = draft.now() + std::max(tables.policy().quarantine, Policy::quarantine_min);
    draft.record(PutQuarantine{std::move(quarantine)});
  }
}

void dissolve(Draft& draft, const Tables& tables, const DeviceEntry& device) {
  for (const auto id : device.grants) {
    const auto& grant = *tables.grant(id);
    draft.reshape(grant, grant, {}, device.device);
  }
  draft.record(DropDevice{device.device.id});
}

}  // namespace drpf::lease
