#include "proxy/poller.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace drpf::proxy {
namespace {

constexpr std::size_t events_at_once = 256;

}  // namespace

bool Channel::open(Poller& poller, system::Fd fd) {
  close();
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = this;
  if (::epoll_ctl(poller.fd_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) return false;
  fd_ = std::move(fd);
  poller_ = &poller;
  readable_ = writable_ = true;
  broken_ = false;
  return true;
}

// The kernel forgets what it has not told yet with the last descriptor; this turn's events are looked at by Poller::run_once().
void Channel::close() {
  if (waiting_ != nullptr) waiting_->leave();
  if (!fd_.valid()) return;
  ::epoll_ctl(poller_->fd_.get(), EPOLL_CTL_DEL, fd_.get(), nullptr);
  fd_ = system::Fd();
}

void Channel::take_from(Channel& other) {
  close();
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = this;
  ::epoll_ctl(other.poller_->fd_.get(), EPOLL_CTL_MOD, other.fd_.get(), &event);
  fd_ = std::move(other.fd_);
  poller_ = other.poller_;
  readable_ = writable_ = true;
  broken_ = other.broken_;
}

Wait::Wait(Poller& poller, std::initializer_list<Wish> wishes, Deadline deadline) : Wait(poller, wishes.begin(), wishes.size(), deadline) {}

Wait::Wait(Poller& poller, const Wish* wishes, std::size_t count, Deadline deadline)
    : poller_(poller), count_(std::min(count, wishes_max)), deadline_(deadline) {
  std::copy_n(wishes, count_, wishes_.begin());
}

bool Wait::await_ready() const {
  return std::any_of(wishes_.begin(), wishes_.begin() + static_cast<std::ptrdiff_t>(count_), [](const Wish& wish) {
    const auto& channel = *wish.channel;
    return channel.broken_ || (wish.read && channel.readable_) || (wish.write && channel.writable_);
  });
}

void Wait::await_suspend(std::coroutine_handle<> waiting) {
  waiting_ = waiting;
  suspended_ = true;
  for (std::size_t i = 0; i < count_; ++i) wishes_[i].channel->waiting_ = this;
  timer_ = poller_.timers_.emplace(deadline_, this);
}

void Wait::leave() {
  if (!suspended_) return;
  suspended_ = false;
  for (std::size_t i = 0; i < count_; ++i) wishes_[i].channel->waiting_ = nullptr;
  poller_.timers_.erase(timer_);
  if (queued_) std::replace(poller_.ready_.begin(), poller_.ready_.end(), this, static_cast<Wait*>(nullptr));
  queued_ = false;
}

void Wait::end(bool late) {
  leave();
  late_ = late;
  waiting_.resume();
}

void Poller::Turn::await_suspend(std::coroutine_handle<> waiting) {
  waiting_ = waiting;
  poller_.turns_.push_back(this);
}

Poller::Turn::~Turn() {
  if (waiting_) std::erase(poller_.turns_, this);
}

Result<Poller> Poller::open() {
  system::Fd fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!fd.valid()) return fail(failure("epoll", std::string("cannot wait for connections: ") + std::strerror(errno)));
  return Poller(std::move(fd));
}

int Poller::wait_limit(std::chrono::milliseconds at_most) const {
  if (!turns_.empty()) return 0;
  if (timers_.empty()) return static_cast<int>(at_most.count());
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - Clock::now());
  return static_cast<int>(std::clamp(left, std::chrono::milliseconds(0), at_most).count());
}

void Poller::end_late() {
  while (!timers_.empty() && timers_.begin()->first <= now_) timers_.begin()->second->end(true);
}

void Poller::take_turns() {
  const auto count = turns_.size();
  for (std::size_t i = 0; i < count && !turns_.empty(); ++i) {
    auto* turn = turns_.front();
    turns_.erase(turns_.begin());
    std::exchange(turn->waiting_, {}).resume();
  }
}

void Poller::run_once(std::chrono::milliseconds at_most) {
  std::array<epoll_event, events_at_once> events;
  const int count = ::epoll_wait(fd_.get(), events.data(), static_cast<int>(events.size()), wait_limit(at_most));
  now_ = Clock::now();
  // First what all of them say, then who goes on: one conversation may close the channels of another event, and open others.
  for (int i = 0; i < count; ++i) {
    auto& channel = *static_cast<Channel*>(events[static_cast<std::size_t>(i)].data.ptr);
    const auto what = events[static_cast<std::size_t>(i)].events;
    if ((what & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) channel.readable_ = true;
    if ((what & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) channel.writable_ = true;
    if ((what & (EPOLLHUP | EPOLLERR)) != 0) channel.broken_ = true;
    auto* wait = channel.waiting_;
    if (wait == nullptr || wait->queued_ || !wait->await_ready()) continue;
    wait->queued_ = true;
    ready_.push_back(wait);
  }
  while (!ready_.empty()) {
    auto* wait = ready_.back();
    ready_.pop_back();
    if (wait != nullptr) wait->end(false);
  }
  end_late();
  take_turns();
}

}  // namespace drpf::proxy
