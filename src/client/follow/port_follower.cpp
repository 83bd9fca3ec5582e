#include "client/follow/port_follower.h"

#include <algorithm>

namespace drpf::client {

void PortFollower::listening(const FollowChoice& choice) {
  for (auto& [port, entry] : entries_) entry.wanted = false;
  for (const auto& wish : choice.wishes) {
    auto& entry = entries_[wish.port];
    // Another program on the port of one that ended is a wish of its own, but the lease is as good for it.
    entry.wish = wish;
    entry.wanted = true;
  }
  std::erase_if(entries_, [this](const auto& one) {
    const auto& entry = one.second;
    return !entry.wanted && !entry.lease && !(out_ && out_->wish.port == one.first);
  });
  for (const auto& closed : choice.left_closed) {
    if (!told_closed_.insert(closed).second) continue;
    FollowNews news;
    news.kind = FollowNews::Kind::left_closed;
    news.wish = closed;
    news_.push_back(std::move(news));
  }
}

void PortFollower::reported(const std::vector<PublishedPort>& ports) {
  reported_ = ports;
  online_ = true;
  for (auto& [port, entry] : entries_)
    if (entry.lease && is_reported(*entry.lease)) entry.seen = true;
}

void PortFollower::offline() { online_ = false; }

bool PortFollower::reaches(const FollowWish& wish) const {
  const auto has = [&](Protocol protocol) {
    return std::any_of(reported_.begin(), reported_.end(),
                       [&](const auto& port) { return port.protocol == protocol && port.local_port == wish.port; });
  };
  return (!wish.tcp || has(Protocol::tcp)) && (!wish.udp || has(Protocol::udp));
}

bool PortFollower::is_reported(const FollowLease& lease) const {
  const auto has = [&](Protocol protocol) {
    return std::any_of(reported_.begin(), reported_.end(), [&](const auto& port) {
      return port.protocol == protocol && port.public_port == lease.public_port && port.local_port == lease.local_port;
    });
  };
  return (!lease.tcp || has(Protocol::tcp)) && (!lease.udp || has(Protocol::udp));
}

FollowJob PortFollower::job(FollowJob::Kind kind, const Entry& entry) const {
  FollowJob job;
  job.kind = kind;
  job.wish = entry.wish;
  job.lease = entry.lease;
  for (const auto& [port, other] : entries_) {
    if (!other.wanted || port == entry.wish.port) continue;
    for (const auto& published : reported_)
      if (published.local_port == port) job.in_use.insert(published.public_port);
  }
  return job;
}

std::optional<FollowJob> PortFollower::job_for(Entry& entry, Time now) {
  if (!entry.wanted) {
    if (entry.lease && now >= entry.next_try) return job(FollowJob::Kind::release, entry);
    return std::nullopt;
  }
  if (now < entry.next_try) return std::nullopt;
  if (!entry.lease) {
    if (!reaches(entry.wish)) return job(FollowJob::Kind::ask, entry);
    if (!entry.told_reached) tell(FollowNews::Kind::reached_already, entry);
    entry.told_reached = true;
    return std::nullopt;
  }
  const bool lost = entry.seen && !is_reported(*entry.lease);
  const bool more = (entry.wish.tcp && !entry.lease->tcp) || (entry.wish.udp && !entry.lease->udp);
  if (lost || more || now >= entry.renew_at) return job(FollowJob::Kind::ask, entry);
  return std::nullopt;
}

std::optional<FollowJob> PortFollower::next(Time now) {
  if (out_ || !online_) return std::nullopt;
  // What is to be closed comes first: it also makes room.
  for (const bool wanted : {false, true}) {
    for (auto& [port, entry] : entries_) {
      if (entry.wanted != wanted) continue;
      out_ = job_for(entry, now);
      if (out_) return out_;
    }
  }
  return std::nullopt;
}

void PortFollower::done(const Result<std::optional<FollowLease>>& outcome, Time now) {
  if (!out_) return;
  const auto job = *std::exchange(out_, std::nullopt);
  const auto found = entries_.find(job.wish.port);
  if (found == entries_.end()) return;
  auto& entry = found->second;
  if (job.kind == FollowJob::Kind::release) {
    // A release that failed is not repeated: the lease ends by its lifetime, and the gateway's answer may be that it has ended.
    tell(FollowNews::Kind::closed, entry);
    entry.lease.reset();
    entry.told_error.clear();
    if (!entry.wanted) entries_.erase(found);
    return;
  }
  if (!outcome) {
    entry.next_try = now + follow_retry_pause;
    if (entry.told_error != outcome.error().code) tell(FollowNews::Kind::refused, entry, outcome.error());
    entry.told_error = outcome.error().code;
    if (entry.lease && entry.seen && !is_reported(*entry.lease)) entry.lease.reset();
    return;
  }
  const bool is_new = entry.lease != *outcome;
  entry.lease = *outcome;
  entry.told_error.clear();
  entry.renew_at = now + follow_renew_after;
  if (!is_new) return;
  entry.seen = entry.lease && is_reported(*entry.lease);
  tell(FollowNews::Kind::opened, entry);
}

std::vector<FollowNews> PortFollower::take_news() { return std::exchange(news_, {}); }

std::vector<FollowJob> PortFollower::at_the_end() {
  std::vector<FollowJob> jobs;
  if (online_)
    for (const auto& [port, entry] : entries_)
      if (entry.lease) jobs.push_back(job(FollowJob::Kind::release, entry));
  online_ = false;
  return jobs;
}

std::string PortFollower::program_at(Port local_port) const {
  const auto found = entries_.find(local_port);
  return found == entries_.end() ? std::string{} : found->second.wish.program;
}

void PortFollower::tell(FollowNews::Kind kind, const Entry& entry, std::optional<Error> error) {
  FollowNews news;
  news.kind = kind;
  news.wish = entry.wish;
  news.lease = entry.lease;
  news.error = std::move(error);
  news_.push_back(std::move(news));
}

}  // namespace drpf::client
