#include "client/share/upstream_leases.h"

#include <utility>

#include "client/follow/lease_requests.h"

namespace drpf::client {

void UpstreamLeases::ask(const RelayAsk& ask, WhenGiven given) { add(Question{ask, std::move(given)}); }
void UpstreamLeases::give_back(const RelayLease& lease) { add(lease); }

void UpstreamLeases::add(Job job) {
  jobs_.push_back(std::move(job));
  go_on();
}

void UpstreamLeases::go_on() {
  if (request_.active() || jobs_.empty()) return;
  auto job = std::move(jobs_.front());
  jobs_.pop_front();
  if (auto* question = std::get_if<Question>(&job)) {
    request_ = ask_for_relay(loop_, door_, question->ask, [this, given = std::move(question->given)](Result<RelayLease> lease) {
      request_.cancel();
      go_on();
      given(std::move(lease));  // last: it may ask for more
    });
  } else {
    // One that cannot be given back ends by itself.
    request_ = give_relay_back(loop_, door_, std::get<RelayLease>(job), [this](const Status&) {
      request_.cancel();
      go_on();
    });
  }
}

}  // namespace drpf::client
