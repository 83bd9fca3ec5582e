// What a connect scan does about hosts that answer so many probes a second and no more; scan/ask/schedule_pace.cpp does it for raw scans.
#include <algorithm>

#include "probe/connect_scan_state.h"

namespace drpf::probe {

// False: it waits until its host may be asked.
bool ConnectScan::pass(std::uint32_t port) {
  auto& host = host_of(port);
  if (!host.ration) return true;
  // What was asked already goes first: its fate tells whether the rate is right.
  if (counting(port) > 0)
    host.held.push_front(port);
  else
    host.held.push_back(port);
  return false;
}

void ConnectScan::canary_fate(std::uint32_t slot, bool received) {
  const auto& attempt = attempts_[slot];
  auto& host = host_of(attempt.port);
  --host.canaries_under_way;
  host.recent.add(received ? 1 : 0, received ? 0 : 1);
  if (!received) {
    ++host.loss.lost;
    suspect(attempt.port);
  }
  if (host.ration)
    host.ration->canary_fate(received, attempt.sent);
  else if (received)
    rate_->answered(attempt.sent);
  else
    rate_->lost(attempt.sent);
}

void ConnectScan::suspect(std::uint32_t port) {
  auto& host = host_of(port);
  if (host.ration || host.canaries.empty() || request_.pace.probes_max || !host.recent.suspicious()) return;
  const auto busy = std::ranges::count_if(hosts_, [](const Host& other) { return other.undecided > 0; });
  host.ration = std::make_unique<scan::Ration>(rate_->rate() / static_cast<double>(std::max<std::ptrdiff_t>(busy, 1)), host.recent.share(),
                                               host.undecided, now_);
  rationed_.push_back(static_cast<std::uint32_t>(port / request_.numbers.size()));
}

// The silence of this host so far says nothing, and what was lost was lost to a limit, not to the line.
void ConnectScan::void_probes(std::uint32_t index) {
  hosts_[index].loss = {};
  const auto numbers = static_cast<std::uint32_t>(request_.numbers.size());
  for (auto port = index * numbers; port < (index + 1) * numbers; ++port) {
    auto& state = ports_[port];
    if (state.decided) continue;
    state.void_probes = sent(port);
    state.lost = 0;
    state.enough_at = {};
  }
}

std::optional<ConnectScan::Next> ConnectScan::next_of_ration(std::uint32_t index) {
  auto& host = hosts_[index];
  switch (host.ration->judge(now_, rate_->rate())) {
    case scan::Ration::Finding::limit:
      void_probes(index);
      break;
    case scan::Ration::Finding::line:
      host.recent.is_the_line(host.ration->line());
      retries_.insert(retries_.end(), host.held.begin(), host.held.end());
      host.held.clear();
      host.ration.reset();
      return std::nullopt;
    case scan::Ration::Finding::none:
      break;
  }
  if (!host.ration->may_ask(now_)) return std::nullopt;
  const bool nothing_else = host.held.empty() && host.ration->trying() && !host.ration->wants_nothing_else();
  if (host.ration->wants_canary() || nothing_else) {
    host.ration->canary_asked();
    ++host.canaries_under_way;
    return Next{host.canaries[host.next_canary++ % host.canaries.size()], true};
  }
  while (!host.held.empty() && !host.ration->wants_nothing_else()) {
    const auto port = host.held.front();
    host.held.pop_front();
    if (ports_[port].decided) continue;
    host.ration->asked();
    return Next{port, false};
  }
  return std::nullopt;
}

std::optional<ConnectScan::Next> ConnectScan::next_rationed() {
  for (std::size_t looked_at = rationed_.size(); looked_at > 0 && !rationed_.empty(); --looked_at) {
    const auto place = rationed_turn_++ % rationed_.size();
    const auto index = rationed_[place];
    const auto next = hosts_[index].undecided > 0 ? next_of_ration(index) : std::nullopt;
    if (next) return next;
    if (hosts_[index].ration && hosts_[index].undecided > 0) continue;
    rationed_.erase(rationed_.begin() + static_cast<std::ptrdiff_t>(place));
  }
  return std::nullopt;
}

}  // namespace drpf::probe
