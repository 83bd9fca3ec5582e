// When a connect scan takes a port for silent, and how it knows what is lost on the way there.
#include <algorithm>
#include <chrono>

#include "probe/connect_scan_state.h"

namespace drpf::probe {
namespace {

using namespace std::chrono_literals;
using scan::Cause;
using scan::State;
using scan::Verdict;

constexpr unsigned samples_wanted = 32;   // of the loss, before silence is believed of a host that answers elsewhere
constexpr std::uint32_t few_silent = 32;  // ports of a host that answers elsewhere: they may be under a limit of one SYN per second
constexpr Duration last_look_after = 1100ms;
constexpr double undecided_above = 0.01;  // chance of a miss with which silence is not called filtered
constexpr std::size_t canary_ports_max = 8;

}  // namespace

void ConnectScan::remember_as_canary(std::uint32_t port, State state) {
  auto& host = host_of(port);
  const bool closed = state == State::closed;
  if (closed && !host.canaries_closed) {
    host.canaries_closed = true;
    host.canaries.clear();
  }
  if (closed == host.canaries_closed && host.canaries.size() < canary_ports_max) host.canaries.push_back(port);
}

unsigned ConnectScan::needed(const Host& host) const {
  if (request_.pace.probes_max) return std::max(1U, *request_.pace.probes_max);
  if (host.loss.samples() == 0) return scan::probes_min;
  return scan::probes_needed(host.loss.cautious(), request_.numbers.size());
}

void ConnectScan::want_canaries(Host& host) {
  const auto enough = host.loss.samples() + host.canaries_under_way;
  if (enough >= samples_wanted || host.canaries.empty() || host.ration) return;
  for (auto missing = samples_wanted - enough; missing > 0; --missing) {
    canaries_due_.push_back(host.canaries[host.next_canary++ % host.canaries.size()]);
    ++host.canaries_under_way;
  }
}

void ConnectScan::due(std::uint32_t port) {
  auto& state = ports_[port];
  auto& host = host_of(port);
  if (!request_.pace.probes_max) want_canaries(host);
  const auto timeout = host.round_trip.timeout();
  if (neighbour_is_asked(port)) {
    timers_.push({now_ + neighbour_looked_at_every, port, state.probes, false});
    return;
  }
  const auto* newest = state.attempts == none ? nullptr : &attempts_[state.attempts];
  if (counting(port) < needed(host)) {
    if (!host.ration && newest != nullptr && newest->repeated_at <= now_ + timeout) {
      timers_.push({newest->repeated_at, port, state.probes, false});  // the kernel is about to ask again anyway
    } else {
      retries_.push_back(port);
    }
    return;
  }
  if (host.ration && !host.ration->found()) {
    timers_.push({now_ + timeout, port, state.probes, false});  // what its silence means is about to be known
    return;
  }
  const bool last_look = !state.looked_again && !host.canaries.empty() && host.undecided <= few_silent && !request_.pace.probes_max;
  if (last_look && now_ >= state.first_probe + last_look_after) {
    state.looked_again = true;
    retries_.push_back(port);
    return;
  }
  Time earliest = state.first_probe + (last_look ? last_look_after : silence_min);
  if (newest != nullptr && newest->repeated_at - kernel_repeats_every > newest->sent) {
    // The kernel sent the last one. The verdict is given before it sends yet another.
    if (state.enough_at == Time{}) state.enough_at = newest->repeated_at - kernel_repeats_every;
    earliest = std::max(earliest, state.enough_at + std::min(timeout, kernel_repeats_every - paid_for_before));
  }
  const bool loss_unknown = !host.ration && !request_.pace.probes_max && !host.canaries.empty() && host.loss.samples() < samples_wanted;
  if (now_ < earliest || (loss_unknown && host.canaries_under_way > 0)) {
    timers_.push({now_ < earliest ? earliest : now_ + timeout, port, state.probes, false});
    return;
  }
  silence(port);
}

void ConnectScan::expire() {
  while (!timers_.empty() && timers_.top().when <= now_) {
    const auto timer = timers_.top();
    timers_.pop();
    if (timer.canary) {
      auto& attempt = attempts_[timer.index];
      if (!attempt.fd.valid() || attempt.generation != timer.generation) continue;
      canary_fate(timer.index, false);
      close(timer.index);
    } else if (!ports_[timer.index].decided && ports_[timer.index].probes == timer.generation) {
      due(timer.index);
    }
  }
}

void ConnectScan::silence(std::uint32_t port) {
  const auto& host = host_of(port);
  Verdict verdict{.state = State::filtered, .cause = Cause::no_response, .probes = sent(port)};
  if (neighbour_is_silent(port)) {
    verdict.cause = Cause::host_unreach;
    verdict.note = silent_neighbour(port);
    decide(port, std::move(verdict));
    return;
  }
  ++silent_;
  if (host.loss.samples() > 0) {
    const double miss = scan::miss_probability(host.loss.cautious(), counting(port));
    worst_miss_ = std::max(worst_miss_, miss);
    if (request_.pace.probes_max) {
      verdict.note = "forced";
    } else if (miss > undecided_above) {
      verdict.state = State::undecided;
    }
  } else {
    worst_miss_ = 1;
    if (request_.pace.probes_max) verdict.note = "forced";
  }
  decide(port, std::move(verdict));
}

}  // namespace drpf::probe
