#include "tunnel/wireguard/fence.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>

namespace drpf::tunnel::wireguard {

Fence::Fence(EngineState& state, bool active) : state_(state), active_(active) {}

Fence::~Fence() { state_.closed_flows.store(nullptr); }

Status Fence::close(std::span<const ClosedFlow> flows) {
  if (flows.empty() || !active_) return {};
  const std::lock_guard lock(mutex_);
  for (const auto& flow : flows) {
    if (flows_.size() >= flows_max) break;  // the rest leave the queue unhindered, which takes them a moment
    flows_[flow] = round_;
  }
  const bool quiet = publish();
  changed_.notify_one();
  if (quiet) return {};
  return fail(failure("engine_busy", "the WireGuard engine did not confirm within 1 s that it has cut ended leases off",
                      "look into the log for the reason"));
}

std::size_t Fence::closed() const {
  const std::lock_guard lock(mutex_);
  return flows_.size();
}

// True when both packet threads work by what is published.
bool Fence::publish() {
  std::vector<ClosedFlow> all;
  all.reserve(flows_.size());
  for (const auto& [flow, round] : flows_) all.push_back(flow);
  if (published_) retired_.push_back(std::move(published_));
  if (!all.empty()) published_ = std::make_unique<const ClosedFlows>(std::move(all));
  state_.closed_flows.store(published_.get());
  state_.fence_waits.store(true);
  const bool quiet = wait_for_packet_threads();
  state_.fence_waits.store(false);
  if (quiet) retired_.clear();
  return quiet;
}

bool Fence::wait_for_packet_threads() const {
  const auto mark = state_.quiescence.mark();
  const auto end = std::chrono::steady_clock::now() + wait_max;
  while (!state_.quiescence.passed(mark)) {
    if (state_.stopping.load()) return false;
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(look_interval);
  }
  return true;
}

void Fence::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return state_.stopping.load() || !flows_.empty(); });
    if (state_.stopping.load()) return;
    const auto settled = round_++;
    lock.unlock();
    // MEMBARRIER_CMD_GLOBAL waits for a grace period of RCU, which ends no sooner than every softirq that had begun before.
    if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0) std::this_thread::sleep_for(grace_without_membarrier);
    const auto wanted = state_.drain_wanted.fetch_add(1) + 1;
    state_.sender_wake.wake();
    for (auto done = state_.drained.load(); done < wanted && !state_.stopping.load(); done = state_.drained.load())
      state_.drained.wait(done);
    lock.lock();
    if (state_.stopping.load()) return;
    std::erase_if(flows_, [&](const auto& flow) { return flow.second <= settled; });
    publish();
  }
}

// After state.stopping is set.
void Fence::stop() {
  {
    const std::lock_guard lock(mutex_);
    changed_.notify_one();
  }
  state_.drained.store(UINT64_MAX);
  state_.drained.notify_all();
}

}  // namespace drpf::tunnel::wireguard
