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

class SimulatedNetwork {
 public:
  struct Line {
    double loss = 0;  // each way
    Duration delay = std::chrono::microseconds(50);
    double capacity = 0;           // probes per second that get through; 0: all
    double errors_per_second = 0;  // ICMP errors; 0: all
    double errors_at_once = 6;
    std::function<std::optional<Answer>(std::size_t target, std::uint16_t port)> answer;  // none: silence
  };
  explicit SimulatedNetwork(Line line) : line_(std::move(line)) {}

  std::map<std::pair<std::size_t, std::uint16_t>, Verdict> verdicts;
  Tally tally;
  Duration took{};
  std::size_t told_twice = 0;

  void scan(const Request& request, double start_rate, std::vector<HostStart> hosts = {}, std::optional<Duration> stop_after = {}) {
    hosts.resize(request.targets.size(), HostStart{first_timeout_on_link, {}});
    const auto start = Time(std::chrono::hours(1));
    const auto sink = [&](std::size_t target, std::size_t number, const Verdict& verdict) {
      if (!verdicts.emplace(std::pair(target, request.numbers[number]), verdict).second) ++told_twice;
    };
    Schedule schedule(request, std::move(hosts), start_rate, {61000}, 11, start, sink);
    struct Arrival {
      Time when;
      Reply reply;
      bool operator<(const Arrival& other) const { return when > other.when; }
    };
    std::priority_queue<Arrival> arrivals;
    double room = line_.capacity / 100;
    double errors = line_.errors_at_once;
    Time room_at = start;
    Time errors_at = start;
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
        if (line_.capacity > 0) {
          room = std::min(line_.capacity / 100, room + std::chrono::duration<double>(now - room_at).count() * line_.capacity);
          room_at = now;
          if (room < 1) continue;
          room -= 1;
        }
        if (lost() || lost()) continue;
        auto said = line_.answer(probe.target, probe.number);
        if (!said) continue;
        if (said->type == AnswerType::icmp && line_.errors_per_second > 0) {
          errors =
              std::min(line_.errors_at_once, errors + std::chrono::duration<double>(now - errors_at).count() * line_.errors_per_second);
          errors_at = now;
          if (errors < 1) continue;
          errors -= 1;
        }
        said->sender = request.targets[probe.target];
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
  bool lost() { return line_.loss > 0 && std::uniform_real_distribution<>(0, 1)(random_) < line_.loss; }
  std::mt19937_64 random_{42};
};

inline Request request_for(Kind kind, std::size_t targets, int first, int last) {
  Request request;
  request.kind = kind;
  for (std::size_t i = 0; i < targets; ++i) request.targets.push_back(Address::v4(0xc0000200 + static_cast<std::uint32_t>(i)));
  for (int port = first; port <= last; ++port) request.numbers.push_back(static_cast<std::uint16_t>(port));
  return request;
}

}  // namespace drpf::scan
