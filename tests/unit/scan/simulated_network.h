// A made-up network for the schedule: hosts with ports, loss, delay, and limits, all from one seed. Time passes only here.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <random>
#include <vector>

#include "scan/ask/schedule.h"

namespace drpf::scan {

// So many a second, of what comes: as a bucket that fills, or counted from second to second, as FreeBSD does.
class Allowance {
 public:
  Allowance(double per_second, double at_once, bool by_the_second = false)
      : per_second_(per_second), at_once_(at_once), by_the_second_(by_the_second), left_(at_once) {}
  void use_up(Time now) {
    left_ = 0;
    filled_ = now;
  }
  bool take(Time now) {
    if (per_second_ <= 0) return true;
    if (by_the_second_) {
      const auto second = now.time_since_epoch() / std::chrono::seconds(1);
      if (second != second_) left_ = per_second_;
      second_ = second;
    } else {
      left_ = std::min(at_once_, left_ + std::chrono::duration<double>(now - filled_).count() * per_second_);
      filled_ = now;
    }
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  double per_second_;
  double at_once_;
  bool by_the_second_;
  double left_;
  Time filled_{};
  std::int64_t second_ = 0;
};

class SimulatedNetwork {
 public:
  struct Line {
    double loss = 0;  // each way
    Duration delay = std::chrono::microseconds(50);
    double capacity = 0;           // probes per second that get through; 0: all
    double errors_per_second = 0;  // ICMP errors; 0: all
    double errors_at_once = 6;
    bool errors_used_up = false;  // by somebody else, before the scan
    double resets_per_second = 0;
    double resets_at_once = 5;
    bool resets_by_the_second = false;
    double probes_per_second = 0;  // new flows that a router lets through
    double probes_at_once = 5;
    Duration outage_every{};  // nothing gets through at the end of each such time,
    Duration outage{};        // for so long
    std::function<std::optional<Answer>(std::size_t target, std::uint16_t port)> answer;  // none: silence
    std::function<bool(std::uint16_t port)> cannot_leave = {};                            // this machine
  };
  explicit SimulatedNetwork(Line line, std::uint64_t seed = 42) : line_(std::move(line)), seed_(seed), random_(seed) {}

  Line& line() { return line_; }

  std::map<std::pair<std::size_t, std::uint16_t>, Verdict> verdicts;
  Tally tally;
  Duration took{};
  std::size_t told_twice = 0;
  std::map<std::pair<std::size_t, std::uint16_t>, unsigned> sent;  // probes by target and port

  void scan(const Request& request, double start_rate, std::vector<HostStart> hosts = {}, std::optional<Duration> stop_after = {}) {
    hosts.resize(request.targets.size(), HostStart{first_timeout_on_link, {}});
    const auto start = Time(std::chrono::hours(1));
    const auto sink = [&](std::size_t target, std::size_t number, const Verdict& verdict) {
      if (!verdicts.emplace(std::pair(target, request.numbers[number]), verdict).second) ++told_twice;
    };
    Schedule schedule(request, std::move(hosts), start_rate, {61000}, seed_, start, sink);
    struct Arrival {
      Time when;
      Reply reply;
      bool operator<(const Arrival& other) const { return when > other.when; }
    };
    std::priority_queue<Arrival> arrivals;
    Allowance capacity(line_.capacity, line_.capacity / 100);
    Allowance flows(line_.probes_per_second, line_.probes_at_once);
    Allowance errors(line_.errors_per_second, line_.errors_at_once);
    if (line_.errors_used_up) errors.use_up(start);
    Allowance resets(line_.resets_per_second, line_.resets_at_once, line_.resets_by_the_second);
    std::vector<Probe> probes(64);
    auto now = start;
    while (now - start < std::chrono::hours(4)) {
      while (!arrivals.empty() && arrivals.top().when <= now) {
        const auto arrival = arrivals.top();
        arrivals.pop();
        schedule.answered(arrival.reply, arrival.when);
      }
      if (stop_after && now - start >= *stop_after) {
        schedule.stop();
        break;
      }
      if (schedule.finished(now)) break;
      const auto count = schedule.next(now, probes);
      for (std::size_t i = 0; i < count; ++i) {
        const auto& probe = probes[i];
        if (line_.cannot_leave && line_.cannot_leave(probe.number)) {
          schedule.not_sent(probe, 105, now);
          continue;
        }
        ++sent[{probe.target, probe.number}];
        if (!capacity.take(now) ||
            (line_.outage_every > Duration{} && (now - start) % line_.outage_every >= line_.outage_every - line_.outage))
          continue;
        if (lost() || !flows.take(now)) continue;
        auto said = line_.answer(probe.target, probe.number);
        if (!said) continue;
        if (said->type == AnswerType::icmp && !errors.take(now)) continue;
        if (said->type == AnswerType::reset && !resets.take(now)) continue;
        if (lost()) continue;
        if (said->from_target) said->sender = request.targets[probe.target];
        said->ttl = said->ttl == 0 ? 64 : said->ttl;
        arrivals.push({now + line_.delay, {request.targets[probe.target], probe.number, probe.source_port, *said}});
      }
      if (count > 0) {
        now += std::chrono::microseconds(count * 5);
        continue;
      }
      auto next = schedule.wake(now);
      if (!arrivals.empty()) next = std::min(next, arrivals.top().when);
      now = std::max(next, now + std::chrono::microseconds(10));
    }
    took = now - start;
    tally = schedule.tally(now);
  }

  std::size_t count(State state) const {
    return static_cast<std::size_t>(
        std::count_if(verdicts.begin(), verdicts.end(), [&](const auto& entry) { return entry.second.state == state; }));
  }

 private:
  Line line_;
  std::uint64_t seed_;
  bool lost() { return line_.loss > 0 && std::uniform_real_distribution<>(0, 1)(random_) < line_.loss; }
  std::mt19937_64 random_;
};

inline Request request_for(Kind kind, std::size_t targets, int first, int last) {
  Request request;
  request.kind = kind;
  for (std::size_t i = 0; i < targets; ++i) request.targets.push_back(Address::v4(0xc0000200 + static_cast<std::uint32_t>(i)));
  for (int port = first; port <= last; ++port) request.numbers.push_back(static_cast<std::uint16_t>(port));
  return request;
}

}  // namespace drpf::scan
