// Answers that wait until what they say is so, while others are given: a port that was given on at once is open for the visitors of its
// former holder too when their connections are deleted. On the loop's thread; knows nothing of what it holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>

#include "api/service.h"
#include "core/time.h"
#include "net/event_loop.h"

namespace drpf::daemon {

class HeldAnswers {
 public:
  using Answer = std::function<void()>;

  static constexpr Duration hold_max = std::chrono::seconds(2);  // then it is given all the same, and logged
  static constexpr std::size_t answers_max = 4096;               // the oldest is given when there are more

  HeldAnswers(net::EventLoop& loop, const Clock& clock, std::function<bool(api::Settling)> settled)
      : loop_(loop), clock_(clock), settled_(std::move(settled)) {}

  void hold(api::Settling settling, Answer answer);
  void release();  // gives those that have settled; to be called when something may have
  std::size_t size() const { return held_.size(); }

 private:
  struct Held {
    api::Settling settling = 0;
    Time until{};
    Answer answer;
  };
  void give_up(std::size_t count);
  void expect_next();

  net::EventLoop& loop_;
  const Clock& clock_;
  std::function<bool(api::Settling)> settled_;
  std::deque<Held> held_;  // in the order in which they came, which is that of `until`
  net::Timer timer_;
};

}  // namespace drpf::daemon
