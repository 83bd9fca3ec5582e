#include "redirect/connection_purge.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace drpf::redirect {

std::optional<system::MarkBlock> covering_block(std::span<const std::uint32_t> marks) {
  if (marks.empty()) return std::nullopt;
  std::uint32_t mask = 0xffffffff;
  for (const auto mark : marks) mask &= ~(mark ^ marks.front());
  if (mask == 0) return std::nullopt;
  return system::MarkBlock{marks.front() & mask, mask};
}

bool is_tunnels(const system::ConntrackEntry& entry, const std::optional<Prefix>& tunnel_v4, const std::optional<Prefix>& tunnel_v6) {
  const auto in_tunnel = [&](const Address& address) {
    return (tunnel_v4 && tunnel_v4->contains(address)) || (tunnel_v6 && tunnel_v6->contains(address));
  };
  return in_tunnel(entry.original.source.address) || in_tunnel(entry.reply.source.address);
}

bool ConnectionPurge::Stale::holds(const system::ConntrackEntry& entry) const {
  if (entry.mark == 0 || entry.mark > highest || std::binary_search(live.begin(), live.end(), entry.mark)) return false;
  return is_tunnels(entry, tunnel_v4, tunnel_v6);  // other programs mark connections too
}

ConnectionPurge::ConnectionPurge(Delete delete_where) : delete_where_(std::move(delete_where)) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the control thread
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "purge");
}

ConnectionPurge::~ConnectionPurge() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

ConnectionPurge::Ticket ConnectionPurge::add(std::span<const std::uint32_t> marks, Last last) {
  const std::lock_guard lock(mutex_);
  if (last == Last::certain) waiting_.last = last;
  waiting_.marks.insert(waiting_.marks.end(), marks.begin(), marks.end());
  waiting_.ticket = ++last_ticket_;
  changed_.notify_all();
  return last_ticket_;
}

ConnectionPurge::Ticket ConnectionPurge::add(Stale stale) {
  const std::lock_guard lock(mutex_);
  waiting_.stale = std::move(stale);  // a later one says more
  waiting_.ticket = ++last_ticket_;
  changed_.notify_all();
  return last_ticket_;
}

ConnectionPurge::Ticket ConnectionPurge::finished() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

void ConnectionPurge::when_finished(std::function<void()> tell) {
  const std::lock_guard lock(mutex_);
  tell_ = std::move(tell);
}

bool ConnectionPurge::wait(Ticket ticket, Duration at_most) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, at_most, [&] { return done_ >= ticket; });
}

ConnectionPurge::Report ConnectionPurge::report() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

void ConnectionPurge::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || waiting_.ticket > done_; });
    if (stopping_) return;
    auto work = std::exchange(waiting_, {});
    lock.unlock();
    const auto begin = std::chrono::steady_clock::now();
    const auto deleted = walk(work);
    const auto took = std::chrono::steady_clock::now() - begin;
    lock.lock();
    if (!deleted) {
      spdlog::warn("the connections of ended leases stay in the kernel's table, where they are refused, and are tried again: {}",
                   deleted.error().message);
      waiting_.marks.insert(waiting_.marks.end(), work.marks.begin(), work.marks.end());
      if (!waiting_.stale) waiting_.stale = std::move(work.stale);
      waiting_.ticket = std::max(waiting_.ticket, work.ticket);
      if (work.last == Last::certain) waiting_.last = work.last;
      changed_.wait_for(lock, retry_interval, [&] { return stopping_; });
      continue;
    }
    ++report_.walks;
    report_.deleted += *deleted;
    report_.last = took;
    report_.longest = std::max(report_.longest, report_.last);
    done_ = work.ticket;
    changed_.notify_all();
    if (tell_) tell_();
  }
}

Result<std::size_t> ConnectionPurge::walk(Work& work) {
  // A packet that met the old rules on another processor may be about to make one more entry; after a grace period of RCU it has.
  if (work.last == Last::certain && ::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
    std::this_thread::sleep_for(grace_without_membarrier);
  auto& marks = work.marks;
  std::sort(marks.begin(), marks.end());
  marks.erase(std::unique(marks.begin(), marks.end()), marks.end());
  return delete_where_(
      [&](const system::ConntrackEntry& entry) {
        if (entry.mark != 0 && std::binary_search(marks.begin(), marks.end(), entry.mark)) return true;
        return work.stale && work.stale->holds(entry);
      },
      work.stale ? std::nullopt : covering_block(marks));
}

}  // namespace drpf::redirect
