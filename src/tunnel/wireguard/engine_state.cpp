#include "tunnel/wireguard/engine_state.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>

namespace drpf::tunnel::wireguard {

WakeUp::WakeUp() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

void WakeUp::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);  // full means that it wakes already
}

void WakeUp::clear() const {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto taken = ::read(fd_.get(), &count, sizeof count);
}

bool HandshakeQueue::push(ByteView datagram, const Endpoint& from, const system::LocalSource& source) {
  const std::lock_guard lock(mutex_);
  if (count_ == ring_.size() || datagram.size() > ring_[0].bytes.size()) return false;
  auto& slot = ring_[(first_ + count_) % ring_.size()];
  std::copy(datagram.begin(), datagram.end(), slot.bytes.begin());
  slot.size = datagram.size();
  slot.from = from;
  slot.source = source;
  ++count_;
  return true;
}

std::size_t HandshakeQueue::take(std::span<HandshakeDatagram> into, std::size_t& waiting) {
  const std::lock_guard lock(mutex_);
  const auto taken = std::min(count_, into.size());
  for (std::size_t i = 0; i < taken; ++i) into[i] = ring_[(first_ + i) % ring_.size()];
  first_ = (first_ + taken) % ring_.size();
  count_ -= taken;
  waiting = count_;
  return taken;
}

bool HandshakeQueue::empty() const {
  const std::lock_guard lock(mutex_);
  return count_ == 0;
}

// The list holds a peer at most once, so it is never longer than there are peers.
void EngineState::report(PeerState& peer, bool urgent) {
  const std::lock_guard lock(report_mutex_);
  if (!std::exchange(peer.reported, true)) reported_.push_back(&peer);
  active_ = true;
  if (urgent || sleeping_long_) {
    sleeping_long_ = false;
    handshaker_wake.wake();
  }
}

std::vector<PeerState*> EngineState::take_reports() {
  const std::lock_guard lock(report_mutex_);
  for (auto* peer : reported_) peer->reported = false;
  return std::exchange(reported_, {});
}

void EngineState::forget_reports(PeerState& peer) {
  const std::lock_guard lock(report_mutex_);
  std::erase(reported_, &peer);
}

void EngineState::tell(Event event) {
  const std::lock_guard lock(report_mutex_);
  told_.push_back(std::move(event));
  handshaker_wake.wake();
}

std::vector<Event> EngineState::take_told() {
  const std::lock_guard lock(report_mutex_);
  return std::exchange(told_, {});
}

bool EngineState::may_sleep_long() {
  const std::lock_guard lock(report_mutex_);
  sleeping_long_ = reported_.empty() && !std::exchange(active_, false);
  return sleeping_long_;
}

void EngineState::command(const SenderCommand& command) {
  {
    const std::lock_guard lock(command_mutex_);
    commands_.push_back(command);
  }
  sender_wake.wake();
}

void EngineState::take_commands(std::vector<SenderCommand>& into) {
  into.clear();
  const std::lock_guard lock(command_mutex_);
  into.swap(commands_);
}

void EngineState::forget_commands(const PeerState& peer) {
  const std::lock_guard lock(command_mutex_);
  std::erase_if(commands_, [&](const auto& command) { return command.peer == &peer; });
}

}  // namespace drpf::tunnel::wireguard
