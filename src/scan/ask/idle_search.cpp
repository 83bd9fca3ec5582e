#include "scan/ask/idle_search.h"

#include <algorithm>

namespace drpf::scan {

std::optional<std::uint16_t> counting_unit(std::span<const std::uint16_t> identifications) {
  if (identifications.size() < 3) return std::nullopt;
  for (const std::uint16_t unit : {std::uint16_t{1}, std::uint16_t{256}}) {
    bool counts = true;
    for (std::size_t i = 1; i < identifications.size(); ++i)
      counts = counts && static_cast<std::uint16_t>(identifications[i] - identifications[i - 1]) == unit;
    if (counts) return unit;
  }
  return std::nullopt;
}

IdleSearch::IdleSearch(std::size_t ports, const std::vector<bool>& known) {
  Group group;
  for (std::uint32_t port = 0; port < ports; ++port) {
    if (port < known.size() && known[port]) continue;
    group.ports.push_back(port);
    if (group.ports.size() < group_max) continue;
    groups_.push_back(std::move(group));
    group = {};
  }
  if (!group.ports.empty()) groups_.push_back(std::move(group));
}

void IdleSearch::told(std::uint32_t step, std::vector<Decision>& decided) {
  auto group = std::move(groups_.front());
  groups_.pop_front();
  ++group.probes;
  const auto decide = [&](State state) {
    for (const auto port : group.ports) decided.push_back({port, state, group.probes});
  };
  if (step == 0 || step - 1 > group.ports.size()) {
    if (++group.busy >= busy_max) return decide(State::undecided);
    groups_.push_back(std::move(group));  // later: it may be idle again
    return;
  }
  group.busy = 0;
  if (step == 1) {
    if (++group.quiet >= quiet_confirmations) return decide(State::closed_filtered);
    groups_.push_front(std::move(group));
    return;
  }
  if (group.ports.size() == 1) {
    if (++group.hits >= open_confirmations) return decide(State::open);
    groups_.push_front(std::move(group));
    return;
  }
  const auto half = static_cast<std::ptrdiff_t>(group.ports.size() / 2);
  Group second{.ports = {group.ports.begin() + half, group.ports.end()}, .probes = group.probes};
  group.ports.resize(static_cast<std::size_t>(half));
  group.quiet = 0;
  groups_.push_front(std::move(second));
  groups_.push_front(std::move(group));
}

}  // namespace drpf::scan
