#include "lease/merge.h"

#include <map>
#include <optional>
#include <tuple>

namespace drpf::lease {

namespace {

// What becomes of one public port in the kernel.
struct Fate {
  std::optional<Redirection> removed;  // was there before
  std::optional<Redirection> installed;
  std::optional<Redirection> renewed;
};

using Place = std::tuple<Address, Protocol, Port>;
Place place(const Redirection& one) { return {one.public_address, one.protocol, one.public_port}; }

}  // namespace

Transaction merge(std::span<const Transaction> decisions) {
  if (decisions.size() == 1) return decisions.front();
  Transaction merged;
  std::map<Place, Fate> fates;
  for (const auto& decision : decisions) {
    merged.records.insert(merged.records.end(), decision.records.begin(), decision.records.end());
    merged.generations_used_to = decision.generations_used_to != 0 ? decision.generations_used_to : merged.generations_used_to;
    merged.next_id = decision.next_id != 0 ? decision.next_id : merged.next_id;
    merged.addresses_used_to = decision.addresses_used_to != 0 ? decision.addresses_used_to : merged.addresses_used_to;
    for (const auto& gone : decision.remove) {
      auto& fate = fates[place(gone)];
      if (fate.installed)
        fate.installed.reset();
      else
        fate.removed = gone;
      fate.renewed.reset();
    }
    for (const auto& fresh : decision.install) fates[place(fresh)].installed = fresh;
    for (const auto& longer : decision.renew) {
      auto& fate = fates[place(longer)];
      (fate.installed ? fate.installed : fate.renewed) = longer;
    }
  }
  for (const auto& [at, fate] : fates) {
    if (fate.removed) merged.remove.push_back(*fate.removed);
    if (fate.installed) merged.install.push_back(*fate.installed);
    if (fate.renewed) merged.renew.push_back(*fate.renewed);
  }
  return merged;
}

}  // namespace drpf::lease
