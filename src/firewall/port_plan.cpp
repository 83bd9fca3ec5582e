#include "firewall/port_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace drpf::firewall {
namespace {

constexpr std::size_t conflicts_shown_max = 5;

std::string_view describe(PortUse use) {
  switch (use) {
    case PortUse::service:
      return "a service";
    case PortUse::listener:
      return "a listening socket";
    case PortUse::lease_pool:
      return "the lease pool";
    case PortUse::snat:
      return "the source ports of devices' traffic";
    case PortUse::ephemeral:
      return "the source ports of this host's own traffic";
  }
  return "";
}

std::string describe(const PortClaim& claim) {
  return fmt::format("{} for {} ({})", to_string(claim.range), describe(claim.use), claim.origin);
}

}  // namespace

bool may_overlap(PortUse a, PortUse b) {
  const auto are = [&](PortUse x, PortUse y) { return (a == x && b == y) || (a == y && b == x); };
  return a == b || are(PortUse::service, PortUse::listener) || are(PortUse::listener, PortUse::ephemeral);
}

std::vector<PortConflict> conflicts(std::span<const PortClaim> claims) {
  // Sorted by first port, a claim can only meet those before it that reach its first port.
  std::vector<const PortClaim*> sorted;
  for (const auto& claim : claims) sorted.push_back(&claim);
  std::sort(sorted.begin(), sorted.end(), [](const PortClaim* a, const PortClaim* b) { return a->range < b->range; });
  std::vector<PortConflict> out;
  std::vector<const PortClaim*> open;
  for (const auto* claim : sorted) {
    std::erase_if(open, [&](const PortClaim* earlier) { return earlier->range.last() < claim->range.first(); });
    for (const auto* earlier : open)
      if (!may_overlap(earlier->use, claim->use)) out.push_back({*earlier, *claim});
    open.push_back(claim);
  }
  return out;
}

Status prove_disjoint(std::span<const PortClaim> claims) {
  const auto found = conflicts(claims);
  if (found.empty()) return {};
  std::string message = "the port plan overlaps: ";
  for (std::size_t i = 0; i < std::min(found.size(), conflicts_shown_max); ++i) {
    if (i > 0) message += "; ";
    message += fmt::format("ports {} meet ports {}", describe(found[i].first), describe(found[i].second));
  }
  if (found.size() > conflicts_shown_max) message += fmt::format("; and {} more", found.size() - conflicts_shown_max);
  const bool listener = std::any_of(found.begin(), found.end(), [](const PortConflict& conflict) {
    return conflict.first.use == PortUse::listener || conflict.second.use == PortUse::listener;
  });
  return fail(
      misconfigured("port_plan_overlap", std::move(message),
                    listener ? "stop that program or bind it elsewhere (find it with: ss -lntup), or change the range in the configuration"
                             : "change one of the ranges in the configuration"));
}

}  // namespace drpf::firewall
