// The control thread's waiting: timers, signals, readable descriptors and calls from other threads. Hides Asio; knows nothing of what it
// runs.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "core/time.h"

namespace boost::asio {
class io_context;
}

namespace drpf::net {

// Something that is being waited for. The wait ends with the object; after that its function is not called again. Destroying it from
// inside its own function is fine. Must be destroyed on the loop's thread (or after run() has returned), and before the loop.
class Watch {
 public:
  struct State {
    virtual ~State() = default;
    virtual void cancel() = 0;
  };

  Watch() = default;
  explicit Watch(std::shared_ptr<State> state) : state_(std::move(state)) {}
  Watch(Watch&&) noexcept = default;
  Watch& operator=(Watch&& other) noexcept {
    cancel();
    state_ = std::move(other.state_);
    return *this;
  }
  ~Watch() { cancel(); }

  void cancel() {
    if (const auto state = std::exchange(state_, nullptr)) state->cancel();
  }
  bool active() const { return state_ != nullptr; }

 private:
  std::shared_ptr<State> state_;  // shared with the pending wait, which may outlive the owner by one turn of the loop
};
using Timer = Watch;

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs until stop(), even while nothing is being waited for. May be called again afterwards.
  void run();
  // Runs what is ready or becomes ready within `at_most`, then returns; for tests and for draining at the end.
  void run_for(Duration at_most);
  // Runs until the condition holds, which is looked at after each function that was run; false when it does not within `at_most`. For what
  // must be waited for at the end.
  bool run_until(const std::function<bool()>& condition, Duration at_most);
  // From any thread, also from a function that the loop is running.
  void stop();
  // From any thread; the function runs on the loop's thread, in the order of the calls.
  void post(std::function<void()> function);

  // Waiting is on CLOCK_MONOTONIC, which stands still in suspend: decide with a Clock what is due, use this only to be woken.
  [[nodiscard]] Timer after(Duration delay, std::function<void()> function);
  // First after one period; late runs are not made up for.
  [[nodiscard]] Timer every(Duration period, std::function<void()> function);
  [[nodiscard]] Watch on_signal(int signal, std::function<void()> function);
  // Called again and again while there is something to read (level-triggered). The descriptor stays the caller's and must outlive the
  // watch.
  [[nodiscard]] Watch watch_readable(int descriptor, std::function<void()> function);

  boost::asio::io_context& context();  // for net/ only

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace drpf::net
