#include "lease/draft.h"

#include <algorithm>
#include <map>
#include <utility>

namespace drpf::lease {

namespace {

Port next(Port port) { return Port{static_cast<std::uint16_t>(port.value() + 1)}; }
Port previous(Port port) { return Port{static_cast<std::uint16_t>(port.value() - 1)}; }

// What a port of the grant is kept as: a requested grant turns into what its strongest lease is.
LeaseKind kind_of_port(LeaseKind grant, LeaseKind so_far, const Lease& lease) {
  if (grant != LeaseKind::requested) return grant;
  for (const auto strong : {LeaseKind::fixed, LeaseKind::automatic})
    if (so_far == strong || lease.kind == strong) return strong;
  return LeaseKind::requested;
}

void append(std::vector<Redirection>& to, const std::vector<Redirection>& more) { to.insert(to.end(), more.begin(), more.end()); }

}  // namespace

std::vector<Redirection> redirections(const Lease& lease, const PublicHost* host, const Device& device) {
  std::vector<Redirection> found;
  if (lease.state != LeaseState::active || !host) return found;
  const auto add = [&](const Address& public_address, const Address& device_address) {
    found.push_back({lease.generation, lease.on.protocol, public_address, lease.on.port, device_address, lease.local_port, lease.deadline});
  };
  if (host->v4) add(*host->v4, device.tunnel_v4);
  if (host->v6 && device.tunnel_v6) add(*host->v6, *device.tunnel_v6);
  return found;
}

Draft::Draft(const Tables& tables, Time now, const Policy& after) : tables_(tables), now_(now), after_(after) {
  transaction_.generations_used_to = tables.generations_used_to();
  transaction_.next_id = tables.next_id();
  transaction_.addresses_used_to = tables.addresses_used_to();
}

Lease Draft::activated(Lease lease, Time deadline) {
  lease.state = LeaseState::active;
  lease.generation = new_generation();
  lease.deadline = deadline;
  return lease;
}

Generation Draft::new_generation() {
  // After 2^32 activations the count begins again; a lease that was renewed all that time still has its number.
  do ++transaction_.generations_used_to;
  while (transaction_.generations_used_to == 0 || tables_.generation_in_use(Generation{transaction_.generations_used_to}));
  return Generation{transaction_.generations_used_to};
}

void Draft::change(const Lease* before, const Lease* after, const Device& device) {
  const auto old =
      before ? redirections(*before, tables_.host(before->on.host), tables_.device(before->device)->device) : std::vector<Redirection>{};
  if (!after) {
    append(transaction_.remove, old);
    if (before) record(DropLease{before->on});
    return;
  }
  if (before && *before == *after) return;
  record(PutLease{*after});
  const auto fresh = redirections(*after, host_after(after->on.host), device);
  const bool same_activation = before && before->state == LeaseState::active && before->generation == after->generation;
  if (!same_activation) {
    append(transaction_.remove, old);
    append(transaction_.install, fresh);
  } else if (before->deadline != after->deadline) {
    append(transaction_.renew, fresh);
  }
}

void Draft::reshape(const Grant& before, const Grant& shape, std::vector<Lease> leases, const Device& device) {
  std::sort(leases.begin(), leases.end(), [](const Lease& a, const Lease& b) { return a.on < b.on; });
  std::map<Port, LeaseKind> kept;
  for (const auto& lease : leases) {
    const auto [at, fresh] = kept.emplace(lease.on.port, lease.kind);
    at->second = kind_of_port(shape.kind, at->second, lease);
  }
  for (const auto* lease : tables_.leases_of(before)) {
    const auto same =
        std::lower_bound(leases.begin(), leases.end(), lease->on, [](const Lease& one, const PublicPort& on) { return one.on < on; });
    if (same == leases.end() || same->on != lease->on) change(lease, nullptr, device);
  }

  std::vector<Grant> pieces;
  for (const auto& [port, kind] : kept) {
    if (!pieces.empty() && next(pieces.back().ports.last()) == port && pieces.back().kind == kind) {
      pieces.back().ports = PortRange(pieces.back().ports.first(), port);
      continue;
    }
    Grant piece = shape;
    piece.id = pieces.empty() ? before.id : GrantId{new_id()};
    piece.ports = PortRange(port);
    piece.kind = kind;
    pieces.push_back(std::move(piece));
  }
  if (pieces.empty()) record(DropGrant{before.id});
  for (const auto& piece : pieces)
    if (piece != before) record(PutGrant{piece});
  for (auto& lease : leases) {
    const auto piece =
        std::partition_point(pieces.begin(), pieces.end(), [&](const Grant& one) { return one.ports.last() < lease.on.port; });
    lease.grant = piece->id;
    change(tables_.lease(lease.on), &lease, device);
  }

  const auto until = now_ + std::max(after_.quarantine, Policy::quarantine_min);
  const auto rest = [&](Port first, Port last) { record(PutQuarantine{{before.host, PortRange(first, last), before.account, until}}); };
  Port from = before.ports.first();
  for (const auto& piece : pieces) {
    if (from < piece.ports.first()) rest(from, previous(piece.ports.first()));
    if (piece.ports.last() == before.ports.last()) return;
    from = next(piece.ports.last());
  }
  rest(from, before.ports.last());
}

void Draft::give(Grant grant, std::vector<Lease> leases, const Device& device) {
  grant.id = GrantId{new_id()};
  record(PutGrant{grant});
  for (auto& lease : leases) {
    lease.grant = grant.id;
    change(nullptr, &lease, device);
  }
}

void Draft::claim(const std::string& host, PortRange ports) {
  const auto* known = tables_.ports_of(host);
  if (!known) return;
  auto at = known->quarantines.upper_bound(ports.first());
  if (at != known->quarantines.begin()) --at;
  for (; at != known->quarantines.end() && at->first <= ports.last(); ++at) {
    const auto& quarantine = at->second;
    if (!quarantine.ports.overlaps(ports)) continue;
    record(DropQuarantine{quarantine});
    auto remainder = quarantine;
    if (quarantine.ports.first() < ports.first()) {
      remainder.ports = PortRange(quarantine.ports.first(), previous(ports.first()));
      record(PutQuarantine{remainder});
    }
    if (ports.last() < quarantine.ports.last()) {
      remainder.ports = PortRange(next(ports.last()), quarantine.ports.last());
      record(PutQuarantine{remainder});
    }
  }
}

const PublicHost* Draft::host_after(const std::string& name) const {
  const auto found = std::find_if(after_.hosts.begin(), after_.hosts.end(), [&](const PublicHost& host) { return host.name == name; });
  return found == after_.hosts.end() ? nullptr : &*found;
}

}  // namespace drpf::lease
