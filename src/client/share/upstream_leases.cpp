#include "client/share/upstream_leases.h"

#include <utility>

#include "client/follow/lease_requests.h"

namespace drpf::client {

UpstreamLeases::UpstreamLeases(net::EventLoop& loop, GatewayDoor door) : loop_(loop), door_(std::move(door)) {
  thread_ = std::thread([this] { run_loop(); });
}

UpstreamLeases::~UpstreamLeases() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void UpstreamLeases::add(Job job) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  changed_.notify_all();
}

void UpstreamLeases::ask(const RelayAsk& ask, WhenGiven given) { add(Question{ask, std::move(given)}); }
void UpstreamLeases::give_back(const RelayLease& lease) { add(lease); }

void UpstreamLeases::run_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    if (auto* question = std::get_if<Question>(&job)) {
      loop_.post([given = std::move(question->given), lease = ask_for_relay(door_, question->ask)]() mutable { given(std::move(lease)); });
    } else {
      (void)give_relay_back(door_, std::get<RelayLease>(job));  // one that cannot be given back ends by itself
    }
    lock.lock();
  }
}

}  // namespace drpf::client
