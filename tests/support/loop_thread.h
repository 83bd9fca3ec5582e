// Runs an event loop in a thread of its own, for tests that speak to it with blocking calls.
#pragma once

#include <functional>
#include <future>
#include <thread>

#include "net/event_loop.h"

namespace drpf::test {

class LoopThread {
 public:
  explicit LoopThread(net::EventLoop& loop) : loop_(loop), thread_([&loop] { loop.run(); }) {}
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;
  ~LoopThread() {
    loop_.post([this] { loop_.stop(); });
    thread_.join();
  }
  // Runs it on the loop's thread and waits for it.
  void call(std::function<void()> function) {
    std::promise<void> done;
    loop_.post([&] {
      function();
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  net::EventLoop& loop_;
  std::thread thread_;
};

}  // namespace drpf::test
