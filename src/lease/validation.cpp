#include "lease/validation.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <unordered_map>

namespace drpf::lease {

namespace {

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

long long seconds(Duration duration) { return std::chrono::duration_cast<std::chrono::seconds>(duration).count(); }

tl::unexpected<Error> bad_policy(std::string message, std::string cure) {
  return fail(misconfigured("policy_invalid", std::move(message), std::move(cure)));
}

Status validate_hosts(const Policy& policy) {
  std::set<std::string_view> names;
  std::map<Address, std::string_view> used;
  if (policy.hosts.empty()) return bad_policy("there is no public host", "name at least one public address");
  for (const auto& host : policy.hosts) {
    if (auto named = validate_name("public host", host.name); !named) return named;
    if (!names.insert(host.name).second)
      return bad_policy(fmt::format("two public hosts are called {}", host.name), "give each its own name");
    if ((host.v4 && !host.v4->is_v4()) || (host.v6 && !host.v6->is_v6()))
      return bad_policy(fmt::format("public host {} has an address of the wrong family", host.name),
                        "put IPv4 addresses under v4 and IPv6 addresses under v6");
    for (const auto& address : {host.v4, host.v6}) {
      if (!address) continue;
      if (address->is_unspecified() || address->is_loopback() || address->is_multicast())
        return bad_policy(fmt::format("public host {} has the address {}, which no visitor can reach", host.name, to_string(*address)),
                          "name an address of a public interface");
      if (policy.tunnel_v4.contains(*address) || (policy.tunnel_v6 && policy.tunnel_v6->contains(*address)))
        return bad_policy(fmt::format("public host {} has the address {}, which lies inside the tunnel", host.name, to_string(*address)),
                          "choose another tunnel prefix");
      const auto [other, fresh] = used.emplace(*address, host.name);
      if (!fresh)
        return bad_policy(fmt::format("public hosts {} and {} share the address {}", other->second, host.name, to_string(*address)),
                          "a port of an address can be leased once only: leave the address with one host");
    }
  }
  return {};
}

Status validate_plans(const Policy& policy) {
  std::set<std::string_view> names;
  for (const auto& plan : policy.plans) {
    if (auto named = validate_name("plan", plan.name); !named) return named;
    if (!names.insert(plan.name).second) return bad_policy(fmt::format("two plans are called {}", plan.name), "give each its own name");
    if (plan.lease_lifetime < Policy::lease_lifetime_min || plan.lease_lifetime > Policy::lease_lifetime_max)
      return bad_policy(fmt::format("plan {} has a lease lifetime of {} s", plan.name, seconds(plan.lease_lifetime)),
                        fmt::format("choose {} to {} s", seconds(Policy::lease_lifetime_min), seconds(Policy::lease_lifetime_max)));
  }
  if (!names.contains(policy.default_plan))
    return bad_policy(fmt::format("the default plan {} does not exist", policy.default_plan), "define it or name another default plan");
  return {};
}

Status validate_tunnel(const Policy& policy) {
  const auto& v4 = policy.tunnel_v4;
  if (v4.family() != Family::v4 || v4.length() < 8 || v4.length() > 30)
    return bad_policy(fmt::format("the tunnel prefix {} cannot hold devices", to_string(v4)),
                      "choose an IPv4 prefix from /8 to /30, for example 10.77.0.0/16");
  if (!policy.tunnel_v6) return {};
  const auto& v6 = *policy.tunnel_v6;
  if (v6.family() != Family::v6 || 128 - v6.length() < 32 - v4.length())
    return bad_policy(fmt::format("the tunnel prefix {} is smaller than {}", to_string(v6), to_string(v4)),
                      "choose an IPv6 prefix with room for as many devices, for example fd77:6472:7066::/64");
  return {};
}

tl::unexpected<Error> bad_state(std::string message) {
  return fail(failure("book_inconsistent", "the stored lease book contradicts itself: " + std::move(message),
                      "restore the state directory from a backup; nothing was changed"));
}

// Ranges per host; two that overlap are two owners of one port.
class Occupied {
 public:
  bool add(const std::string& host, PortRange ports) {
    auto& ranges = hosts_[host];
    const auto after = ranges.upper_bound(ports.first());
    if (after != ranges.end() && ports.contains(after->first)) return false;
    if (after != ranges.begin() && std::prev(after)->second >= ports.first()) return false;
    ranges.emplace(ports.first(), ports.last());
    return true;
  }

 private:
  std::map<std::string, std::map<Port, Port>> hosts_;
};

struct Known {
  std::unordered_map<std::uint32_t, const Account*> accounts;
  std::unordered_map<std::uint32_t, const Device*> devices;
  std::unordered_map<std::uint32_t, const Grant*> grants;
};

Status validate_accounts_and_devices(const State& state, Known& known) {
  std::set<std::string_view> account_names;
  for (const auto& account : state.accounts) {
    const auto id = static_cast<std::uint32_t>(account.id);
    if (!known.accounts.emplace(id, &account).second || !account_names.insert(account.name).second ||
        !validate_name("account", account.name))
      return bad_state(fmt::format("account {} ('{}') is there twice or has an impossible name", id, account.name));
    if (id >= state.next_id) return bad_state(fmt::format("account {} has a number that was never given", id));
  }
  std::set<std::string_view> device_names;
  std::set<Address> addresses;
  for (const auto& device : state.devices) {
    const auto id = static_cast<std::uint32_t>(device.id);
    if (!known.devices.emplace(id, &device).second || !device_names.insert(device.name).second || !validate_name("device", device.name))
      return bad_state(fmt::format("device {} ('{}') is there twice or has an impossible name", id, device.name));
    if (id >= state.next_id) return bad_state(fmt::format("device {} has a number that was never given", id));
    if (!known.accounts.contains(static_cast<std::uint32_t>(device.account)))
      return bad_state(fmt::format("device {} belongs to no account", device.name));
    if (!device.tunnel_v4.is_v4() || (device.tunnel_v6 && !device.tunnel_v6->is_v6()) || !addresses.insert(device.tunnel_v4).second ||
        (device.tunnel_v6 && !addresses.insert(*device.tunnel_v6).second))
      return bad_state(fmt::format("device {} has a tunnel address of another device or of the wrong family", device.name));
  }
  return {};
}

Status validate_grants(const State& state, Known& known) {
  Occupied occupied;
  for (const auto& grant : state.grants) {
    const auto id = static_cast<std::uint32_t>(grant.id);
    const auto device = known.devices.find(static_cast<std::uint32_t>(grant.device));
    if (!known.grants.emplace(id, &grant).second || id >= state.next_id)
      return bad_state(fmt::format("grant {} has an impossible number", id));
    if (device == known.devices.end() || device->second->account != grant.account)
      return bad_state(fmt::format("grant {} belongs to no device of its account", id));
    if (grant.ports.first().is_zero() || !occupied.add(grant.host, grant.ports))
      return bad_state(fmt::format("grant {} of ports {} overlaps another or holds port 0", id, to_string(grant.ports)));
  }
  for (const auto& quarantine : state.quarantines) {
    if (quarantine.ports.first().is_zero() || !occupied.add(quarantine.host, quarantine.ports))
      return bad_state(fmt::format("the quarantine of ports {} overlaps a grant", to_string(quarantine.ports)));
  }
  return {};
}

bool validate(const Mapping& mapping, LeaseState state) {
  const auto& text = mapping.description;
  return state == LeaseState::active && !mapping.internal_port.is_zero() && !mapping.local_port_after.is_zero() &&
         text.size() <= Mapping::description_max && std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

Status validate_leases(const State& state, const Known& known) {
  std::set<PublicPort> taken;
  std::set<Generation> generations;
  for (const auto& lease : state.leases) {
    const auto text = fmt::format("the lease of port {}/{}", to_string(lease.on.port), to_string(lease.on.protocol));
    if (!taken.insert(lease.on).second) return bad_state(text + " is there twice");
    const auto grant = known.grants.find(static_cast<std::uint32_t>(lease.grant));
    if (grant == known.grants.end() || grant->second->device != lease.device || grant->second->host != lease.on.host ||
        !grant->second->ports.contains(lease.on.port))
      return bad_state(text + " belongs to no grant");
    if (lease.local_port.is_zero()) return bad_state(text + " leads to port 0");
    if (lease.mapping && !validate(*lease.mapping, lease.state)) return bad_state(text + " carries an impossible mapping");
    const bool active = lease.state == LeaseState::active;
    if (active != (lease.generation != Generation::none) || (active && !generations.insert(lease.generation).second))
      return bad_state(text + " has an impossible generation");
    const auto& device = *known.devices.at(static_cast<std::uint32_t>(lease.device));
    if (active && (!device.connected || known.accounts.at(static_cast<std::uint32_t>(device.account))->suspended))
      return bad_state(text + " is active without its device");
  }
  return {};
}

}  // namespace

Status validate_name(std::string_view what, std::string_view name) {
  const bool allowed =
      !name.empty() && name.size() <= name_length_max && is_letter_or_digit(name.front()) &&
      std::all_of(name.begin(), name.end(), [](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
  if (allowed) return {};
  return fail(
      refusal("name_invalid",
              fmt::format("'{}' cannot be the name of {} {}", name.substr(0, name_length_max + 1), what == "account" ? "an" : "a", what),
              fmt::format("use 1 to {} of a-z, 0-9, '.', '_' and '-', a letter or digit first", name_length_max)));
}

Status validate(const Policy& policy) {
  if (auto tunnel = validate_tunnel(policy); !tunnel) return tunnel;
  if (auto hosts = validate_hosts(policy); !hosts) return hosts;
  if (auto plans = validate_plans(policy); !plans) return plans;
  if (policy.pool.first().is_zero()) return bad_policy("the pool begins with port 0", "begin with port 1 or higher");
  if (policy.quarantine < Policy::quarantine_min)
    return bad_policy(
        fmt::format("a quarantine of {} s is too short", seconds(policy.quarantine)),
        fmt::format("choose at least {} s, so that late packets do not reach the next holder", seconds(Policy::quarantine_min)));
  if (policy.grace < Duration::zero()) return bad_policy("the grace time is negative", "choose 0 or more");
  return {};
}

Status validate(const State& state) {
  Known known;
  if (auto checked = validate_accounts_and_devices(state, known); !checked) return checked;
  if (auto checked = validate_grants(state, known); !checked) return checked;
  return validate_leases(state, known);
}

}  // namespace drpf::lease
