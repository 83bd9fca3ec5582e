// Deletes the kernel's connections of generations that are over, on a thread of its own: reading a table of 200,000 connections takes
// longer than an answer may. The rules refuse these connections' packets already; what is left of them would only keep the same visitor
// from the next holder of the port. One walk of the table for all that have ended since the last one.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "system/conntrack.h"

namespace drpf::redirect {

// The smallest block of marks that a masked comparison can tell and that takes all of these in; none where it would take in every mark.
std::optional<system::MarkBlock> covering_block(std::span<const std::uint32_t> marks);

// Whether a device began the connection or is what it leads to.
bool is_tunnels(const system::ConntrackEntry& entry, const std::optional<Prefix>& tunnel_v4, const std::optional<Prefix>& tunnel_v6);

class ConnectionPurge {
 public:
  // As system::Conntrack::delete_where, for the thread.
  using Delete = std::function<Result<std::size_t>(const std::function<bool(const system::ConntrackEntry&)>& chosen,
                                                   std::optional<system::MarkBlock> among)>;
  using Ticket = std::uint64_t;
  static constexpr Duration retry_interval = std::chrono::seconds(1);
  static constexpr Duration grace_without_membarrier = std::chrono::milliseconds(200);

  // Everything of the tunnel's whose mark is not live. Marks above `highest` are younger than this and stay.
  struct Stale {
    std::vector<std::uint32_t> live;  // sorted
    std::uint32_t highest = 0;
    std::optional<Prefix> tunnel_v4;
    std::optional<Prefix> tunnel_v6;
    bool holds(const system::ConntrackEntry& entry) const;
  };

  // The thread works in the network namespace of the caller.
  explicit ConnectionPurge(Delete delete_where);
  ~ConnectionPurge();  // waits for the walk under way; what is still to be walked for is found at the next start

  // A packet that is being looked at on another processor may make an entry behind the walk. It has a mark that is over, so it is refused;
  // only where a mark is to pass again must none be left.
  enum class Last { likely, certain };
  Ticket add(std::span<const std::uint32_t> marks, Last last);
  Ticket add(Stale stale);
  Ticket finished() const;                           // this one is done, and all before it
  bool wait(Ticket ticket, Duration at_most) const;  // true when it is done
  // Called on the thread after each walk; none = not called any more from the moment that this returns. It must not ask this object.
  void when_finished(std::function<void()> tell);

  struct Report {
    std::uint64_t walks = 0;
    std::uint64_t deleted = 0;
    Duration longest{};
    Duration last{};
  };
  Report report() const;

 private:
  struct Work {
    std::vector<std::uint32_t> marks;
    std::optional<Stale> stale;
    Last last = Last::likely;
    Ticket ticket = 0;
  };
  void run();
  Result<std::size_t> walk(Work& work);

  Delete delete_where_;  // of the thread
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Work waiting_;
  Ticket last_ticket_ = 0;
  Ticket done_ = 0;
  bool stopping_ = false;
  std::function<void()> tell_;
  Report report_;
  std::thread thread_;
};

}  // namespace drpf::redirect
