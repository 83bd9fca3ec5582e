#include "net/event_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

namespace drpf::net {

namespace asio = boost::asio;

struct EventLoop::Impl {
  asio::io_context context{1};  // one thread runs it
  asio::executor_work_guard<asio::io_context::executor_type> stay_alive{context.get_executor()};
};

namespace {

struct TimerState final : Watch::State, std::enable_shared_from_this<TimerState> {
  TimerState(asio::io_context& context, Duration every, bool repeats, std::function<void()> call)
      : timer(context), period(every), repeating(repeats), function(std::move(call)) {}
  void cancel() override {
    cancelled = true;
    timer.cancel();
  }
  void wait() {
    timer.expires_after(period);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->cancelled) return;
      self->function();
      if (self->repeating && !self->cancelled) self->wait();
    });
  }

  asio::steady_timer timer;
  Duration period;
  bool repeating;
  bool cancelled = false;
  std::function<void()> function;
};

struct SignalState final : Watch::State, std::enable_shared_from_this<SignalState> {
  SignalState(asio::io_context& context, int signal, std::function<void()> call) : signals(context, signal), function(std::move(call)) {}
  void cancel() override {
    cancelled = true;
    boost::system::error_code ignored;
    signals.cancel(ignored);
    signals.clear(ignored);  // gives the signal back its default action
  }
  void wait() {
    signals.async_wait([self = shared_from_this()](const boost::system::error_code& error, int) {
      if (error || self->cancelled) return;
      self->function();
      if (!self->cancelled) self->wait();
    });
  }

  asio::signal_set signals;
  bool cancelled = false;
  std::function<void()> function;
};

struct ReadableState final : Watch::State, std::enable_shared_from_this<ReadableState> {
  ReadableState(asio::io_context& context, int fd, std::function<void()> call) : descriptor(context, fd), function(std::move(call)) {}
  ~ReadableState() override {
    if (descriptor.is_open()) descriptor.release();  // it is not ours to close
  }
  void cancel() override {
    cancelled = true;
    if (descriptor.is_open()) descriptor.release();
  }
  void wait() {
    descriptor.async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->cancelled) return;
      self->function();
      if (!self->cancelled) self->wait();
    });
  }

  asio::posix::stream_descriptor descriptor;
  bool cancelled = false;
  std::function<void()> function;
};

template <class State, class... Arguments>
Watch start(Arguments&&... arguments) {
  auto state = std::make_shared<State>(std::forward<Arguments>(arguments)...);
  state->wait();
  return Watch(std::move(state));
}

}  // namespace

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() {
  impl_->context.restart();
  impl_->context.run();
}

void EventLoop::run_for(Duration at_most) {
  impl_->context.restart();
  impl_->context.run_for(at_most);
}

bool EventLoop::run_until(const std::function<bool()>& condition, Duration at_most) {
  const auto end = std::chrono::steady_clock::now() + at_most;
  impl_->context.restart();
  while (!condition())
    if (impl_->context.run_one_until(end) == 0) return false;
  return true;
}

void EventLoop::stop() { impl_->context.stop(); }

void EventLoop::post(std::function<void()> function) { asio::post(impl_->context, std::move(function)); }

Timer EventLoop::after(Duration delay, std::function<void()> function) {
  return start<TimerState>(impl_->context, delay, false, std::move(function));
}

Timer EventLoop::every(Duration period, std::function<void()> function) {
  return start<TimerState>(impl_->context, period, true, std::move(function));
}

Watch EventLoop::on_signal(int signal, std::function<void()> function) {
  return start<SignalState>(impl_->context, signal, std::move(function));
}

Watch EventLoop::watch_readable(int descriptor, std::function<void()> function) {
  return start<ReadableState>(impl_->context, descriptor, std::move(function));
}

asio::io_context& EventLoop::context() { return impl_->context; }

}  // namespace drpf::net
