#include "lease/port_budget.h"

#include <fmt/core.h>

namespace drpf::lease {

Status check_plan_allows(const Tables& tables, const AccountEntry& account, std::uint32_t more) {
  const auto& plan = tables.plan_of(account.account);
  if (more == 0 || std::uint64_t{account.ports_held} + more <= plan.ports_max) return {};
  return fail(refusal("quota_exhausted",
                      fmt::format("account {} holds {} of {} ports of plan {}; {} more would be too many", account.account.name,
                                  account.ports_held, plan.ports_max, plan.name, more),
                      "remove a lease or a device of the account, or move it to a larger plan"));
}

Status check_rest_allows(const Tables& tables, const AccountEntry& account, std::string_view host, PortRange ports) {
  const auto& plan = tables.plan_of(account.account);
  std::uint32_t fresh = 0;
  for (std::uint32_t port = ports.first().value(); port <= ports.last().value(); ++port) {
    const Port one{static_cast<std::uint16_t>(port)};
    // Others' ports count as if they were free: who may not have them does not learn here which they are.
    const auto* holder = tables.grant_at(host, one);
    const auto* resting = tables.quarantine_at(host, one);
    const bool counted = (holder && holder->account == account.account.id) || (resting && resting->last_holder == account.account.id);
    fresh += counted ? 0 : 1;
  }
  if (fresh == 0 || std::uint64_t{account.ports_held} + account.ports_resting + fresh <= plan.ports_and_rest_max()) return {};
  return fail(refusal("quota_exhausted",
                      fmt::format("account {} holds {} of {} ports of plan {}, and {} that it gave back still rest; {} others would be too "
                                  "many",
                                  account.account.name, account.ports_held, plan.ports_max, plan.name, account.ports_resting, fresh),
                      "ask for one of those again, or wait until they have rested"));
}

}  // namespace drpf::lease
