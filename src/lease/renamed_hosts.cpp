#include "lease/renamed_hosts.h"

#include <algorithm>
#include <vector>

#include "lease/draft.h"

namespace drpf::lease {

namespace {

constexpr std::string_view unnamed_host = "main";

bool has_host(const Policy& policy, std::string_view name) {
  return std::any_of(policy.hosts.begin(), policy.hosts.end(), [&](const PublicHost& host) { return host.name == name; });
}

bool share_address(const PublicHost& a, const PublicHost& b) { return (a.v4 && a.v4 == b.v4) || (a.v6 && a.v6 == b.v6); }

bool holds_anything(const HostPorts& ports) { return !ports.grants.empty() || !ports.quarantines.empty(); }

}  // namespace

std::map<std::string, std::string> renamed_hosts(const Tables& tables, const Policy& next) {
  std::vector<std::string> gone;
  for (const auto& [name, ports] : tables.hosts())
    if (!has_host(next, name) && holds_anything(ports)) gone.push_back(name);
  // A policy that is in force leaves no grants under other names: then the book comes from the store.
  const auto with_grants =
      std::count_if(gone.begin(), gone.end(), [&](const std::string& name) { return !tables.ports_of(name)->grants.empty(); });
  std::vector<const PublicHost*> heirs;
  for (const auto& host : next.hosts) {
    const auto* ports = tables.ports_of(host.name);
    if (!ports || !holds_anything(*ports)) heirs.push_back(&host);
  }
  std::map<std::string, std::string> renamed;
  for (const auto& name : gone) {
    auto heir = heirs.end();
    if (const auto* before = tables.host(name))
      heir = std::find_if(heirs.begin(), heirs.end(), [&](const PublicHost* host) { return share_address(*before, *host); });
    else if (with_grants == 1 && !tables.ports_of(name)->grants.empty() &&
             (name == unnamed_host || next.hosts.front().name == unnamed_host))
      heir = std::find(heirs.begin(), heirs.end(), &next.hosts.front());
    if (heir == heirs.end()) continue;
    renamed.emplace(name, (*heir)->name);
    heirs.erase(heir);
  }
  return renamed;
}

Transaction rename_hosts(const Tables& tables, const std::map<std::string, std::string>& renamed, Time now) {
  Draft draft(tables, now);
  for (const auto& [from, to] : renamed) {
    const auto& ports = *tables.ports_of(from);
    for (const auto& [first, id] : ports.grants) {
      auto grant = *tables.grant(id);
      grant.host = to;
      draft.record(PutGrant{std::move(grant)});
    }
    for (const auto& [key, entry] : ports.leases) {
      auto lease = entry.lease;
      draft.record(DropLease{lease.on});
      lease.on.host = to;
      draft.record(PutLease{std::move(lease)});
    }
    for (const auto& [first, resting] : ports.quarantines) {
      auto quarantine = resting;
      draft.record(DropQuarantine{quarantine});
      quarantine.host = to;
      draft.record(PutQuarantine{std::move(quarantine)});
    }
  }
  return draft.take();
}

}  // namespace drpf::lease
