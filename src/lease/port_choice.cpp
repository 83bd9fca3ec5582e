#include "lease/port_choice.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

namespace drpf::lease {

namespace {

// SplitMix64's finalizer: spreads neighbouring ids over the whole pool.
std::uint64_t spread(std::uint64_t id) {
  id += 0x9e3779b97f4a7c15ULL;
  id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9ULL;
  id = (id ^ (id >> 27)) * 0x94d049bb133111ebULL;
  return id ^ (id >> 31);
}

std::optional<PortRange> from_place_of(DeviceId device, const PortSet& free, PortRange pool, std::uint32_t count) {
  if (count > pool.size()) return std::nullopt;
  // Places are multiples of `count`, so that ranges of one size leave no useless gaps.
  const auto places = pool.size() / count;
  const auto offset = static_cast<std::uint32_t>(spread(static_cast<std::uint32_t>(device)) % places) * count;
  const Port start{static_cast<std::uint16_t>(pool.first().value() + offset)};
  if (const auto found = free.first_run(PortRange(start, pool.last()), count)) return found;
  return free.first_run(pool, count);
}

std::optional<PortChoice> from_own_quarantine(const Tables& tables, const AccountEntry& account, const std::vector<std::string>& hosts,
                                              std::uint32_t count) {
  std::optional<PortChoice> larger;
  for (const auto& [index, first] : account.quarantines) {
    const auto name = tables.host_name(index);
    if (std::find(hosts.begin(), hosts.end(), name) == hosts.end()) continue;
    const auto& resting = tables.ports_of(index).quarantines.at(first);
    const auto run = tables.leasable().first_run(resting.ports, count);
    if (!run) continue;
    if (resting.ports.size() == count) return PortChoice{std::string(name), *run};
    if (!larger) larger = PortChoice{std::string(name), *run};
  }
  return larger;
}

std::vector<std::string> by_free_ports(const Tables& tables) {
  std::vector<std::pair<std::uint32_t, std::string>> sized;
  for (const auto& host : tables.policy().hosts) sized.emplace_back(tables.free_ports(host.name).size(), host.name);
  std::stable_sort(sized.begin(), sized.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> names;
  for (auto& [free, name] : sized) names.push_back(std::move(name));
  return names;
}

std::optional<std::string> host_of_oldest_grant(const Tables& tables, const DeviceEntry& device) {
  if (device.grants.empty()) return std::nullopt;
  const auto& name = tables.grant(*device.grants.begin())->host;
  if (!tables.host(name)) return std::nullopt;
  return name;
}

}  // namespace

std::string usual_host(const Tables& tables, const DeviceEntry& device) {
  if (auto host = host_of_oldest_grant(tables, device)) return *host;
  return by_free_ports(tables).front();
}

Result<PortChoice> choose_ports(const Tables& tables, const DeviceEntry& device, std::uint32_t count,
                                std::optional<std::string_view> host) {
  std::vector<std::string> hosts;
  if (host) {
    hosts.emplace_back(*host);
  } else {
    hosts = by_free_ports(tables);
    if (const auto usual = host_of_oldest_grant(tables, device))
      std::stable_partition(hosts.begin(), hosts.end(), [&](const std::string& name) { return name == *usual; });
  }
  const auto& account = *tables.account(device.device.account);
  if (auto own = from_own_quarantine(tables, account, hosts, count)) return *own;

  std::uint32_t free_ports = 0;
  for (const auto& name : hosts) {
    const auto free = tables.free_ports(name);
    if (const auto found = from_place_of(device.device.id, free, tables.policy().pool, count)) return PortChoice{name, *found};
    free_ports += free.size();
  }
  const auto pool = to_string(tables.policy().pool);
  if (free_ports < count)
    return fail(refusal("pool_exhausted",
                        fmt::format("device {} needs {} ports and {} of the pool {} are free", device.device.name, count, free_ports, pool),
                        "wait until ports come back from grace and quarantine, or have the pool widened"));
  return fail(refusal("no_contiguous_range",
                      fmt::format("device {} needs {} ports in a row; {} of the pool {} are free, but not in a row", device.device.name,
                                  count, free_ports, pool),
                      "ask for fewer ports at once, or have the pool widened"));
}

}  // namespace drpf::lease
