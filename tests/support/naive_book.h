// The lease book's rules, told again as simply as possible: every port is an entry of a map, every question a walk over all of them.
// It chooses no ports: where the book may choose, it says whether the choice was allowed.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lease/lease_book.h"

namespace drpf::lease::test {

struct NaiveBook {
  using Place = std::pair<std::string, Port>;  // a port number of a host
  struct Hold {
    DeviceId device{};
    LeaseKind kind{};
    std::optional<Time> kept_until;
    bool operator==(const Hold&) const = default;
  };
  struct Rest {
    AccountId last_holder{};
    Time until{};
    bool operator==(const Rest&) const = default;
  };
  struct NaiveLease {
    Port local_port;
    LeaseKind kind{};
    bool active = false;
    Time deadline{};
    std::optional<Mapping> mapping;
    bool operator==(const NaiveLease&) const = default;

    // Only a program moves its deadline on.
    bool ends() const { return mapping ? !mapping->while_connected : kind == LeaseKind::requested; }
    Port local_port_without_mapping() const { return mapping ? mapping->local_port_after : local_port; }
  };

  Policy policy;
  std::map<AccountId, Account> accounts;
  std::map<DeviceId, Device> devices;
  std::map<Place, Hold> holds;
  std::map<Place, Rest> rests;
  std::map<PublicPort, NaiveLease> leases;

  const Plan& plan(AccountId id) const {
    const auto& name = accounts.at(id).plan;
    return *std::find_if(policy.plans.begin(), policy.plans.end(), [&](const Plan& one) { return one.name == name; });
  }
  Duration lifetime(DeviceId id) const { return plan(devices.at(id).account).lease_lifetime; }
  std::uint32_t ports_held(AccountId id) const {
    return static_cast<std::uint32_t>(
        std::count_if(holds.begin(), holds.end(), [&](const auto& hold) { return devices.at(hold.second.device).account == id; }));
  }
  std::uint32_t ports_resting(AccountId id) const {
    return static_cast<std::uint32_t>(
        std::count_if(rests.begin(), rests.end(), [&](const auto& rest) { return rest.second.last_holder == id; }));
  }
  // As many as the plan allows may rest beside them.
  bool rest_allows(AccountId id, std::uint32_t fresh) const {
    return fresh == 0 || ports_held(id) + ports_resting(id) + fresh <= 2 * plan(id).ports_max;
  }
  bool leasable(const Place& place) const {
    return std::any_of(policy.hosts.begin(), policy.hosts.end(), [&](const PublicHost& host) { return host.name == place.first; }) &&
           policy.pool.contains(place.second) && !reserved(place.second);
  }
  bool reserved(Port port) const {
    return std::any_of(policy.reserved.begin(), policy.reserved.end(), [&](PortRange range) { return range.contains(port); });
  }
  bool occupied(Port port) const { return std::find(policy.occupied.begin(), policy.occupied.end(), port) != policy.occupied.end(); }
  bool free(const Place& place) const {
    return leasable(place) && !occupied(place.second) && !holds.contains(place) && !rests.contains(place);
  }
  bool free_for(const Place& place, AccountId account) const {
    const auto rest = rests.find(place);
    return leasable(place) && !occupied(place.second) && !holds.contains(place) &&
           (rest == rests.end() || rest->second.last_holder == account);
  }
  std::uint32_t longest_free_run(const std::optional<std::string>& only) const {
    std::uint32_t longest = 0;
    for (const auto& host : policy.hosts) {
      if (only && host.name != *only) continue;
      std::uint32_t run = 0;
      for (std::uint32_t port = policy.pool.first().value(); port <= policy.pool.last().value(); ++port) {
        run = free({host.name, Port{static_cast<std::uint16_t>(port)}}) ? run + 1 : 0;
        longest = std::max(longest, run);
      }
    }
    return longest;
  }

  // --- what happens

  void end_lease(PublicPort on, Time now) {
    leases.erase(on);
    settle({on.host, on.port}, now);
  }
  // A port without a lease goes to rest; one of a requested grant becomes what its strongest lease is.
  void settle(const Place& place, Time now) {
    const auto hold = holds.find(place);
    if (hold == holds.end()) return;
    bool any[3] = {};
    for (const auto protocol : {Protocol::tcp, Protocol::udp})
      if (const auto lease = leases.find({place.first, protocol, place.second}); lease != leases.end())
        any[static_cast<std::size_t>(lease->second.kind)] = true;
    const auto has = [&](LeaseKind kind) { return any[static_cast<std::size_t>(kind)]; };
    auto& kind = hold->second.kind;
    if (kind == LeaseKind::requested && has(LeaseKind::fixed)) kind = LeaseKind::fixed;
    if (kind == LeaseKind::requested && has(LeaseKind::automatic)) kind = LeaseKind::automatic;
    if (has(LeaseKind::automatic) || has(LeaseKind::fixed) || has(LeaseKind::requested)) return;
    rests[place] = {devices.at(hold->second.device).account, now + std::max(policy.quarantine, Policy::quarantine_min)};
    holds.erase(hold);
  }
  std::vector<PublicPort> leases_of(DeviceId id) const {
    std::vector<PublicPort> found;
    for (const auto& [on, lease] : leases)
      if (holds.at({on.host, on.port}).device == id) found.push_back(on);
    return found;
  }
  void hold_all(DeviceId id, Time now) {
    for (const auto& on : leases_of(id)) {
      auto& lease = leases.at(on);
      if (lease.kind == LeaseKind::requested)
        end_lease(on, now);
      else
        lease = {lease.local_port_without_mapping(), lease.kind, false, {}, std::nullopt};
    }
  }
  void activate_all(DeviceId id, Time now) {
    for (const auto& on : leases_of(id)) {
      auto& lease = leases.at(on);
      const bool due = lease.active && !lease.ends() && lease.deadline - lifetime(id) / 2 <= now;
      if (!lease.active || due) lease.deadline = now + lifetime(id);
      lease.active = true;
    }
  }
  // How many automatic ports the device is to be given now.
  std::uint32_t connect(DeviceId id, Time now) {
    auto& device = devices.at(id);
    device.connected = true;
    bool has_automatic = false;
    for (auto& [place, hold] : holds) {
      if (hold.device != id) continue;
      hold.kept_until.reset();
      has_automatic |= hold.kind == LeaseKind::automatic;
    }
    if (accounts.at(device.account).suspended) return 0;
    activate_all(id, now);
    const auto& own = plan(device.account);
    const auto held = ports_held(device.account);
    return has_automatic || held >= own.ports_max ? 0
                                                  : std::min<std::uint32_t>({own.ports_at_connect, own.ports_max, own.ports_max - held});
  }
  void disconnect(DeviceId id, Time now) {
    if (!devices.at(id).connected) return;
    devices.at(id).connected = false;
    hold_all(id, now);
    for (auto& [place, hold] : holds)
      if (hold.device == id && hold.kind == LeaseKind::automatic) hold.kept_until = now + policy.grace;
  }
  bool suspended(AccountId id) const {
    const auto account = accounts.find(id);
    return account != accounts.end() && account->second.suspended;
  }
  // Grace and rest stood still, and begin again.
  void resume(AccountId id, Time now) {
    for (const auto& [device, known] : devices)
      if (known.account == id && known.connected) activate_all(device, now);
    for (auto& [place, hold] : holds)
      if (hold.kept_until && devices.at(hold.device).account == id) hold.kept_until = now + policy.grace;
    for (auto& [place, rest] : rests)
      if (rest.last_holder == id) rest.until = now + std::max(policy.quarantine, Policy::quarantine_min);
  }
  void remove_device(DeviceId id, Time now) {
    for (const auto& on : leases_of(id)) end_lease(on, now);
    devices.erase(id);
  }
  void tick(Time now) {
    std::vector<DeviceId> lost;
    for (const auto& [on, lease] : leases)
      if (lease.active && !lease.ends() && lease.deadline <= now) lost.push_back(holds.at({on.host, on.port}).device);
    for (const auto id : lost) disconnect(id, now);
    for (const auto& [id, device] : devices) {
      for (const auto& on : leases_of(id)) {
        auto& lease = leases.at(on);
        if (!lease.active) continue;
        if (lease.ends() && lease.deadline <= now)
          end_mapping(on, now);
        else if (!lease.ends() && lease.deadline - lifetime(id) / 2 <= now)
          lease.deadline = now + lifetime(id);
      }
    }
    std::vector<Place> over;
    for (const auto& [place, hold] : holds)
      if (hold.kept_until && *hold.kept_until <= now && !suspended(devices.at(hold.device).account)) over.push_back(place);
    for (const auto& place : over) {
      holds.at(place) = {holds.at(place).device, LeaseKind::fixed, std::nullopt};
      for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
        const auto lease = leases.find({place.first, protocol, place.second});
        if (lease != leases.end() && lease->second.kind != LeaseKind::fixed) end_lease(lease->first, now);
      }
    }
    std::erase_if(rests, [&](const auto& rest) { return rest.second.until <= now && !suspended(rest.second.last_holder); });
  }
  void reconfigure(const Policy& next, Time now) {
    policy = next;
    std::vector<PublicPort> impossible;
    for (const auto& [on, lease] : leases)
      if (!leasable({on.host, on.port})) impossible.push_back(on);
    for (const auto& on : impossible) end_lease(on, now);
  }
  // `lease_on`: the request carried out on one port and protocol, that is this device's or free.
  void lease_on(const LeaseRequest& request, const PublicPort& on, Port local, Time now) {
    const bool connected = devices.at(request.device).connected;
    const auto [hold, fresh] = holds.try_emplace({on.host, on.port}, Hold{request.device, request.kind, std::nullopt});
    if (fresh && request.kind == LeaseKind::automatic && !connected) hold->second.kept_until = now + policy.grace;
    rests.erase({on.host, on.port});
    const auto before = leases.find(on);
    const auto kind = before != leases.end() && request.kind != LeaseKind::fixed ? before->second.kind : request.kind;
    auto life = lifetime(request.device);
    if (kind == LeaseKind::requested)
      life = std::clamp(request.lifetime.value_or(life), Policy::requested_lifetime_min, Policy::requested_lifetime_max);
    leases[on] = {local, kind, connected, connected ? now + life : Time{}, std::nullopt};
    settle({on.host, on.port}, now);
  }

  // --- mappings

  // What a program gave up, or did not renew in time: its port is free, or leads where it led before.
  void end_mapping(const PublicPort& on, Time now) {
    auto& lease = leases.at(on);
    if (lease.kind == LeaseKind::requested) return end_lease(on, now);
    lease = {lease.local_port_without_mapping(), lease.kind, true, now + lifetime(holds.at({on.host, on.port}).device), std::nullopt};
  }
  bool is_mapped(DeviceId id, const PublicPort& on, Protocol protocol, Port internal_port) const {
    const auto lease = leases.find(on);
    return lease != leases.end() && on.protocol == protocol && lease->second.mapping &&
           lease->second.mapping->internal_port == internal_port && holds.at({on.host, on.port}).device == id;
  }
  std::vector<PublicPort> mapped(DeviceId id, Protocol protocol, Port internal_port) const {
    std::vector<PublicPort> found;
    for (const auto& on : leases_of(id))
      if (is_mapped(id, on, protocol, internal_port)) found.push_back(on);
    return found;
  }
  // A port of the device that a program may have: nobody set it by hand, and no other program has it.
  bool is_available(DeviceId id, const PublicPort& on) const {
    const auto hold = holds.find({on.host, on.port});
    if (hold == holds.end() || hold->second.device != id || hold->second.kind == LeaseKind::fixed) return false;
    const auto lease = leases.find(on);
    if (lease == leases.end()) return true;
    const auto& is = lease->second;
    return is.active && is.kind == LeaseKind::automatic && !is.mapping && is.local_port == on.port;
  }
  // `map_on`: the request carried out on one port that the device holds or that is free.
  void map_on(const MappingRequest& request, const PublicPort& on, std::uint32_t index, Time now) {
    const auto internal =
        request.internal_port.is_zero() ? on.port : Port{static_cast<std::uint16_t>(request.internal_port.value() + index)};
    const auto local = request.to_public_number ? on.port : internal;
    holds.try_emplace({on.host, on.port}, Hold{request.device, LeaseKind::requested, std::nullopt});
    rests.erase({on.host, on.port});
    const auto before = leases.find(on);
    Mapping mapping;
    mapping.door = request.door;
    mapping.internal_port = internal;
    mapping.nonce = request.nonce;
    mapping.description = request.description;
    mapping.local_port_after = before == leases.end() ? local : before->second.local_port_without_mapping();
    mapping.while_connected = request.while_connected;
    const auto life = request.while_connected
                          ? lifetime(request.device)
                          : std::clamp(request.lifetime, Policy::requested_lifetime_min, Policy::requested_lifetime_max);
    leases[on] = {local, before == leases.end() ? LeaseKind::requested : before->second.kind, true, now + life, mapping};
  }
  std::optional<Time> next_deadline() const {
    std::optional<Time> next;
    const auto consider = [&](Time time) { next = std::min(next.value_or(time), time); };
    for (const auto& [on, lease] : leases) {
      if (!lease.active) continue;
      const auto half = lifetime(holds.at({on.host, on.port}).device) / 2;
      consider(lease.ends() ? lease.deadline : lease.deadline - half);
    }
    for (const auto& [place, hold] : holds)
      if (hold.kept_until && !suspended(devices.at(hold.device).account)) consider(*hold.kept_until);
    for (const auto& [place, rest] : rests)
      if (!suspended(rest.last_holder)) consider(rest.until);
    return next;
  }
};

}  // namespace drpf::lease::test
