// Cuts ended leases off from what is under way between the kernel's rules and the network. The rules stop new packets; this discards those
// that they had let through before and that still wait in the TUN device's queue or with a peer.
//
// Why it holds. nf_tables answers a transaction without waiting for packets that are being looked at on other processors (its commit ends
// without an RCU grace period). To the device: from close() on the sender throws away what is for a closed flow, however late it comes,
// until (1) a grace period has passed, so that every packet that met the old rules stands in the device's queue, and (2) the sender has
// since seen the queue empty or read more than it can hold. From the device: the receiver writes to the TUN device, and the rules are asked
// within that system call; once it has left the batch that it was in, all that follows meets the new rules.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

#include "tunnel/wireguard/closed_flows.h"
#include "tunnel/wireguard/engine_state.h"

namespace drpf::tunnel::wireguard {

class Fence {
 public:
  static constexpr Duration wait_max = std::chrono::seconds(1);  // for the packet threads to end their batches
  static constexpr Duration look_interval = std::chrono::microseconds(20);
  static constexpr Duration grace_without_membarrier = std::chrono::milliseconds(200);
  static constexpr std::size_t flows_max = std::size_t{1} << 18;

  // Not active: only for the test that shows what the fence is for.
  Fence(EngineState& state, bool active);
  ~Fence();    // the packet threads have ended
  void run();  // until stop()
  void stop();

  // From the control thread. When it returns well, no packet of these flows that the kernel's rules had let through before the call will be
  // sent, in either direction.
  Status close(std::span<const ClosedFlow> flows);
  std::size_t closed() const;

 private:
  bool publish();
  bool wait_for_packet_threads() const;

  EngineState& state_;
  const bool active_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<ClosedFlow, std::uint64_t> flows_;  // and the round that they were closed in last
  std::uint64_t round_ = 1;
  std::unique_ptr<const ClosedFlows> published_;
  std::vector<std::unique_ptr<const ClosedFlows>> retired_;  // the sender may hold one still
};

}  // namespace drpf::tunnel::wireguard
