#include "configuration/policy.h"

#include <algorithm>

namespace drpf::configuration {

lease::Policy make_policy(const Configuration& configuration, const std::vector<FoundHost>& hosts, const std::vector<Listener>& listeners) {
  lease::Policy policy;
  for (const auto& found : hosts) policy.hosts.push_back(found.host);
  policy.pool = configuration.pool;
  policy.reserved = configuration.reserved;
  for (const auto& listener : listeners)
    if (configuration.pool.contains(listener.port)) policy.occupied.push_back(listener.port);
  std::sort(policy.occupied.begin(), policy.occupied.end());
  policy.occupied.erase(std::unique(policy.occupied.begin(), policy.occupied.end()), policy.occupied.end());
  policy.plans = configuration.plans;
  policy.default_plan = configuration.default_plan;
  policy.grace = configuration.grace;
  policy.quarantine = std::max(configuration.quarantine, lease::Policy::quarantine_min);
  policy.tunnel_v4 = configuration.tunnel_v4;
  policy.tunnel_v6 = configuration.tunnel_v6;
  policy.accounts_max = configuration.limits.accounts_max;
  policy.devices_per_account_max = configuration.limits.devices_per_account_max;
  return policy;
}

Address gateway_address_for(const Address& device_v4) { return Prefix(device_v4, 24).nth(1); }

}  // namespace drpf::configuration
