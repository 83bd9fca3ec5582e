// The waiting of many conversations on one thread: descriptors that are watched once for all that happens to them (epoll, edge-triggered),
// deadlines, and turns. One wait costs no system call and no buffer. Knows nothing of what is said.
#pragma once

#include <array>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <vector>

#include "core/result.h"
#include "system/fd.h"

namespace drpf::proxy {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

class Poller;
class Wait;

// A descriptor and what the kernel has said of it since it was last tried. Not to be moved while it is watched.
class Channel {
 public:
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() { close(); }

  // Takes it over. False where the kernel has no room to watch it.
  bool open(Poller& poller, system::Fd fd);
  void close();
  // What the other one has open, which nobody waits for.
  void take_from(Channel& other);
  bool is_open() const { return fd_.valid(); }
  int fd() const { return fd_.get(); }

  // Until a call says EAGAIN it may be tried.
  bool readable() const { return readable_; }
  bool writable() const { return writable_; }
  bool broken() const { return broken_; }  // both ways, or by an error
  void nothing_to_read() { readable_ = false; }
  void no_room() { writable_ = false; }

 private:
  friend class Poller;
  friend class Wait;
  system::Fd fd_;
  Poller* poller_ = nullptr;
  Wait* waiting_ = nullptr;  // one at a time
  bool readable_ = false;
  bool writable_ = false;
  bool broken_ = false;
};

struct Wish {
  Channel* channel = nullptr;
  bool read = false;
  bool write = false;
};
inline Wish to_read(Channel& channel) { return {&channel, true, false}; }
inline Wish to_write(Channel& channel) { return {&channel, false, true}; }
inline Wish to_break(Channel& channel) { return {&channel, false, false}; }

// Ends when one of the wishes is fulfilled or one of its channels breaks (true), or at the deadline (false).
class Wait {
 public:
  static constexpr std::size_t wishes_max = 6;
  Wait(Poller& poller, std::initializer_list<Wish> wishes, Deadline deadline);
  Wait(Poller& poller, const Wish* wishes, std::size_t count, Deadline deadline);
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait() { leave(); }

  bool await_ready() const;
  void await_suspend(std::coroutine_handle<> waiting);
  bool await_resume() const { return !late_; }

 private:
  friend class Poller;
  friend class Channel;
  void leave();
  void end(bool late);

  Poller& poller_;
  std::array<Wish, wishes_max> wishes_{};
  std::size_t count_ = 0;
  Deadline deadline_;
  std::coroutine_handle<> waiting_;
  std::multimap<Deadline, Wait*>::iterator timer_;
  bool suspended_ = false;
  bool queued_ = false;  // in Poller::ready_
  bool late_ = false;
};

class Poller {
 public:
  static Result<Poller> open();
  Poller(Poller&&) = default;

  // Lets all others that are ready go first.
  class Turn {
   public:
    explicit Turn(Poller& poller) : poller_(poller) {}
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting);
    void await_resume() const {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn();

   private:
    friend class Poller;
    Poller& poller_;
    std::coroutine_handle<> waiting_;
  };

  // What is ready now, or the first that becomes ready within `at_most`. Read once for all: what this turn of the loop takes for now.
  void run_once(std::chrono::milliseconds at_most);
  Deadline now() const { return now_; }

 private:
  friend class Channel;
  friend class Wait;
  explicit Poller(system::Fd fd) : fd_(std::move(fd)) {}
  int wait_limit(std::chrono::milliseconds at_most) const;
  void end_late();
  void take_turns();

  system::Fd fd_;
  Deadline now_ = Clock::now();
  std::multimap<Deadline, Wait*> timers_;
  std::vector<Turn*> turns_;
  std::vector<Wait*> ready_;  // of this turn; nothing for one that has left meanwhile
};

}  // namespace drpf::proxy
