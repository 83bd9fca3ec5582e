#include "simulation/durable.h"

#include <fmt/core.h>

#include <algorithm>

#include "simulation/faults.h"

namespace drpf::simulation {

namespace {

using Kind = Cause::Kind;

std::string text(const lease::PublicPort& on) { return fmt::format("{}/{} of {}", to_string(on.port), to_string(on.protocol), on.host); }

void must(bool holds, const std::string& what) {
  if (!holds) throw Violation(what);
}

template <class Map, class List, class Key>
void must_equal(const Map& kept, const List& found, Key key, const char* what) {
  must(kept.size() == found.size(), fmt::format("{} {} instead of {}", found.size(), what, kept.size()));
  for (const auto& one : found) {
    const auto same = kept.find(key(one));
    must(same != kept.end() && same->second == one, fmt::format("{}: a record differs", what));
  }
}

// Whether a lease may be gone after this.
bool may_drop(const lease::Lease& lease, const Durable& before, const Durable& after, const Cause& cause, Time now) {
  const bool own = cause.device == lease.device;
  const bool requested = lease.kind == lease::LeaseKind::requested;
  const auto& device = before.devices.at(lease.device);
  const auto device_after = after.devices.find(lease.device);
  const bool away = device_after != after.devices.end() && !device_after->second.connected;
  const auto& kept_until = before.grants.at(lease.grant).kept_until;
  switch (cause.kind) {
    case Kind::start:
    case Kind::time:
      if (cause.kind == Kind::start && cause.may_end_leases) return true;
      return (requested && (lease.deadline <= now || away)) || (kept_until && *kept_until <= now);
    case Kind::mappings:
      return requested && lease.mapping && cause.ending.contains(lease.device);
    case Kind::disconnect:
      return requested && own;
    case Kind::remove_device:
      return own;
    case Kind::remove_account:
      return before.accounts.at(device.account).name == cause.name;
    case Kind::set_account:
      return requested && after.accounts.at(device.account).suspended;
    case Kind::remove_lease:
      return cause.on == lease.on;
    case Kind::reconfigure:
      return cause.may_end_leases;
    default:
      return false;
  }
}

// Both prefixes of the simulation are /16.
std::uint16_t offset_of(const Address& address) { return static_cast<std::uint16_t>(address.bytes()[2] << 8 | address.bytes()[3]); }

}  // namespace

const lease::Plan* Durable::plan_of(lease::AccountId account, const lease::Policy& policy) const {
  const auto& name = accounts.at(account).plan;
  const auto found = std::find_if(policy.plans.begin(), policy.plans.end(), [&](const lease::Plan& plan) { return plan.name == name; });
  return found == policy.plans.end() ? nullptr : &*found;
}

std::map<Place, lease::AccountId> Durable::holders() const {
  std::map<Place, lease::AccountId> all;
  for (const auto& [id, grant] : grants)
    for (std::uint32_t port = grant.ports.first().value(); port <= grant.ports.last().value(); ++port) {
      const bool only = all.emplace(Place{grant.host, Port{static_cast<std::uint16_t>(port)}}, grant.account).second;
      must(only, fmt::format("port {} of {} has two owners", port, grant.host));
    }
  return all;
}

void Durable::rename(const std::string& from, const std::string& to) {
  for (auto& [id, grant] : grants)
    if (grant.host == from) grant.host = to;
  std::map<lease::PublicPort, lease::Lease> named;
  for (auto [on, lease] : leases) {
    if (on.host == from) lease.on.host = to;
    named.emplace(lease.on, lease);
  }
  leases = std::move(named);
  std::map<Place, lease::Quarantine> resting;
  for (auto [place, rest] : quarantines) {
    if (place.first == from) rest.host = to;
    resting.emplace(Place{rest.host, place.second}, rest);
  }
  quarantines = std::move(resting);
  std::map<Place, Rest> still;
  for (const auto& [place, rest] : rests) still.emplace(Place{place.first == from ? to : place.first, place.second}, rest);
  rests = std::move(still);
}

namespace {

// At a start only the names of former hosts are known: what the one host held that is no longer named goes on under the first that holds
// nothing.
std::optional<std::pair<std::string, std::string>> renamed_host(const lease::Transaction& transaction, const Durable& before,
                                                                const lease::Policy& policy) {
  for (const auto& record : transaction.records) {
    const auto* put = std::get_if<lease::PutGrant>(&record);
    const auto known = put == nullptr ? before.grants.end() : before.grants.find(put->grant.id);
    if (known == before.grants.end() || known->second.host == put->grant.host) continue;
    const auto& from = known->second.host;
    const auto& to = put->grant.host;
    must(std::none_of(policy.hosts.begin(), policy.hosts.end(), [&](const auto& host) { return host.name == from; }),
         fmt::format("host {} is still there, and its ports went to {}", from, to));
    for (const auto& [place, account] : before.holders())
      must(place.first != to, fmt::format("the ports of {} went to {}, which has ports of its own", from, to));
    return std::pair(from, to);
  }
  return std::nullopt;
}

}  // namespace

void Durable::commit(const lease::Transaction& transaction, const std::vector<store::WireGuardPeer>& new_peers, const Cause& cause,
                     const lease::Policy& policy, const VirtualClock& now) {
  if (cause.kind == Kind::start)
    if (const auto renamed = renamed_host(transaction, *this, policy)) rename(renamed->first, renamed->second);
  const auto before_holders = holders();
  const Durable before = *this;
  std::set<lease::PublicPort> touched;
  for (const auto& record : transaction.records) {
    if (const auto* put = std::get_if<lease::PutAccount>(&record)) accounts[put->account.id] = put->account;
    if (const auto* drop = std::get_if<lease::DropAccount>(&record)) accounts.erase(drop->id);
    if (const auto* put = std::get_if<lease::PutDevice>(&record)) devices[put->device.id] = put->device;
    if (const auto* drop = std::get_if<lease::DropDevice>(&record)) devices.erase(drop->id), peers.erase(drop->id);
    if (const auto* put = std::get_if<lease::PutGrant>(&record)) grants[put->grant.id] = put->grant;
    if (const auto* drop = std::get_if<lease::DropGrant>(&record)) grants.erase(drop->id);
    if (const auto* put = std::get_if<lease::PutLease>(&record)) leases[put->lease.on] = put->lease, touched.insert(put->lease.on);
    if (const auto* drop = std::get_if<lease::DropLease>(&record)) leases.erase(drop->on), touched.insert(drop->on);
    if (const auto* put = std::get_if<lease::PutQuarantine>(&record))
      quarantines[{put->quarantine.host, put->quarantine.ports.first()}] = put->quarantine;
    if (const auto* drop = std::get_if<lease::DropQuarantine>(&record))
      quarantines.erase({drop->quarantine.host, drop->quarantine.ports.first()});
  }
  for (const auto& peer : new_peers) peers[peer.device] = peer;
  must(transaction.generations_used_to == 0 || transaction.generations_used_to >= generations_used_to, "generations were taken back");
  if (transaction.generations_used_to != 0) generations_used_to = transaction.generations_used_to;
  if (transaction.next_id != 0) next_id = transaction.next_id;
  if (transaction.addresses_used_to != 0) addresses_used_to = transaction.addresses_used_to;
  clock = {now.boot_id(), now.now(), now.wall_now()};
  lived = now.lived();

  // Nobody is thrown out without a cause.
  const auto at = now.now();
  for (const auto& [id, account] : before.accounts)
    must(accounts.contains(id) || cause.kind == Kind::remove_account, fmt::format("account {} was lost", account.name));
  for (const auto& [id, device] : before.devices)
    must(devices.contains(id) || cause.kind == Kind::remove_account || (cause.kind == Kind::remove_device && cause.device == id),
         fmt::format("device {} was lost", device.name));
  for (const auto& [id, device] : before.devices) {
    const auto same = devices.find(id);
    if (same == devices.end() || same->second.tunnel_v4 == device.tunnel_v4) continue;
    must(cause.may_end_leases, fmt::format("device {} got another address, and nobody asked for that", device.name));
    must(offset_of(same->second.tunnel_v4) == offset_of(device.tunnel_v4),
         fmt::format("device {} lost its place in the tunnel's prefix", device.name));
  }
  for (const auto& on : touched) {
    const auto old = before.leases.find(on);
    const auto lease = leases.find(on);
    if (old != before.leases.end() && lease == leases.end())
      must(may_drop(old->second, before, *this, cause, at), fmt::format("the lease on {} ended without a cause", text(on)));
    if (lease == leases.end()) continue;
    const auto& is = lease->second;
    const auto& device = devices.at(is.device);
    must(!is.mapping || is.state == lease::LeaseState::active, fmt::format("the lease on {} is mapped and not active", text(on)));
    must(old == before.leases.end() || old->second.mapping == is.mapping || !is.mapping || cause.kind == Kind::mappings ||
             cause.kind == Kind::add_lease || cause.kind == Kind::set_lease,
         fmt::format("the lease on {} got a mapping that nobody asked for", text(on)));
    must(grants.contains(is.grant), fmt::format("the lease on {} has no grant", text(on)));
    if (is.state == lease::LeaseState::active) {
      must(device.connected, fmt::format("the lease on {} is active while its device is away", text(on)));
      must(!accounts.at(device.account).suspended, fmt::format("the lease on {} is active for a suspended account", text(on)));
      must(is.generation != lease::Generation::none && static_cast<std::uint32_t>(is.generation) <= generations_used_to,
           fmt::format("the lease on {} has a generation that was not counted", text(on)));
      must(is.deadline <= at + lease::Policy::lease_lifetime_max, "a deadline is beyond every lifetime");
      const bool fresh = old == before.leases.end() || old->second.generation != is.generation;
      must(!fresh || static_cast<std::uint32_t>(is.generation) > before.generations_used_to,
           fmt::format("generation {} was given a second time, to {}; used are {}, cause {}", static_cast<std::uint32_t>(is.generation),
                       text(on), before.generations_used_to, static_cast<int>(cause.kind)));
    } else if (old != before.leases.end() && old->second.state == lease::LeaseState::active) {
      must(!device.connected || accounts.at(device.account).suspended, fmt::format("the lease on {} was closed without a cause", text(on)));
    }
    if (old == before.leases.end())
      must(policy.pool.contains(on.port) &&
               std::none_of(policy.reserved.begin(), policy.reserved.end(), [&](PortRange range) { return range.contains(on.port); }) &&
               std::any_of(policy.hosts.begin(), policy.hosts.end(), [&](const auto& host) { return host.name == on.host; }),
           fmt::format("{} must not be leased", text(on)));
  }

  // Who holds what: quotas and rests.
  const auto after_holders = holders();
  if (before_holders == after_holders) return;
  std::map<lease::AccountId, int> more;
  for (const auto& [place, account] : after_holders) {
    const auto old = before_holders.find(place);
    if (old != before_holders.end() && old->second == account) continue;
    must(old == before_holders.end(),
         fmt::format("port {} of {} went from one account to another without a rest", to_string(place.second), place.first));
    must(std::find(policy.occupied.begin(), policy.occupied.end(), place.second) == policy.occupied.end(),
         fmt::format("port {} of {} was given away while a program of the host has it", to_string(place.second), place.first));
    ++more[account];
    const auto rest = rests.find(place);
    if (rest == rests.end()) continue;
    must(rest->second.last_holder == account || rest->second.until <= now.lived(),
         fmt::format("port {} of {} was given away {} s before its rest was over", to_string(place.second), place.first,
                     std::chrono::duration_cast<std::chrono::seconds>(rest->second.until - now.lived()).count()));
    rests.erase(rest);
  }
  for (const auto& [place, account] : before_holders)
    if (!after_holders.contains(place)) {
      rests[place] = {account, work_began + std::max(policy.quarantine, lease::Policy::quarantine_min)};
      --more[account];
    }
  for (const auto& [account, count] : more) {
    if (count <= 0 || !accounts.contains(account)) continue;
    const auto held = std::count_if(after_holders.begin(), after_holders.end(), [&](const auto& one) { return one.second == account; });
    const auto* plan = plan_of(account, policy);
    must(plan != nullptr && held <= plan->ports_max,
         fmt::format("account {} holds {} ports, more than its plan allows", accounts.at(account).name, held));
  }
}

lease::State Durable::state() const {
  lease::State all;
  for (const auto& [id, one] : accounts) all.accounts.push_back(one);
  for (const auto& [id, one] : devices) all.devices.push_back(one);
  for (const auto& [id, one] : grants) all.grants.push_back(one);
  for (const auto& [id, one] : leases) all.leases.push_back(one);
  for (const auto& [id, one] : quarantines) all.quarantines.push_back(one);
  all.generations_used_to = generations_used_to;
  all.next_id = next_id;
  all.addresses_used_to = addresses_used_to;
  return all;
}

void Durable::compare(const lease::State& state) const {
  must_equal(accounts, state.accounts, [](const auto& one) { return one.id; }, "accounts");
  must_equal(devices, state.devices, [](const auto& one) { return one.id; }, "devices");
  must_equal(grants, state.grants, [](const auto& one) { return one.id; }, "grants");
  must_equal(leases, state.leases, [](const auto& one) { return one.on; }, "leases");
  must_equal(quarantines, state.quarantines, [](const auto& one) { return Place{one.host, one.ports.first()}; }, "rests");
  must(state.generations_used_to == generations_used_to, "the count of generations differs");
  must(state.next_id == next_id, "the count of identities differs");
}

void Durable::compare_loaded(const lease::State& state, const VirtualClock& now) {
  const bool same_boot = clock.boot_id == now.boot_id() || clock.boot_id.empty();
  const auto passed = now.lived() - lived;
  const auto wall_passed = now.wall_now() - clock.wall;
  const auto wall_error = wall_passed - passed;  // what the wall clock claims beyond the truth
  const bool known = wall_passed >= Duration::zero();
  const auto left_before = [&](Time deadline) { return deadline - clock.boot; };
  const auto left_after = [&](Time deadline) { return deadline - now.now(); };
  if (!same_boot) {
    for (const auto& lease : state.leases) {
      const auto old = leases.find(lease.on);
      if (old == leases.end() || lease.state != lease::LeaseState::active) continue;
      const auto fair = left_before(old->second.deadline) - passed + std::max(Duration::zero(), -wall_error);
      must(left_after(lease.deadline) <= std::max(fair, Duration::zero()),
           fmt::format("the reboot made the lease on {} longer", text(lease.on)));
      must(known || left_after(lease.deadline) <= Duration::zero(), "a lease goes on although nobody knows how much time has passed");
      if (known && wall_error >= Duration::zero() && fair - wall_error > Duration::zero())
        must(left_after(lease.deadline) >= fair - wall_error, fmt::format("the reboot made the lease on {} shorter", text(lease.on)));
      old->second.deadline = lease.deadline;
    }
    for (const auto& grant : state.grants)
      if (const auto old = grants.find(grant.id); old != grants.end() && old->second.kept_until && grant.kept_until) {
        const auto fair = known ? left_before(*old->second.kept_until) - wall_passed : left_before(*old->second.kept_until);
        must(left_after(*grant.kept_until) >= std::min(fair, Duration(-1)), "the reboot made a grace time shorter");
        old->second.kept_until = grant.kept_until;
      }
    for (const auto& rest : state.quarantines)
      if (const auto old = quarantines.find({rest.host, rest.ports.first()}); old != quarantines.end()) old->second.until = rest.until;
    if (known && wall_error > Duration::zero())
      for (auto& [place, rest] : rests) rest.until -= wall_error;  // nobody can know better
  }
  compare(state);
  clock = {now.boot_id(), now.now(), now.wall_now()};
  lived = now.lived();
}

}  // namespace drpf::simulation
