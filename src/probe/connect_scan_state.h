// The state of one connect scan under way: which ports wait for what, and the sockets at work for them. Included by connect_*.cpp alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "core/result.h"
#include "probe/connect_attempt.h"
#include "probe/scan_observer.h"
#include "scan/ask/loss.h"
#include "scan/ask/order.h"
#include "scan/ask/rate_control.h"
#include "scan/ask/ration.h"
#include "scan/ask/round_trip.h"
#include "system/boot_clock.h"
#include "system/links_and_routes.h"
#include "system/route_lookup.h"

namespace drpf::probe {

class ConnectScan {
 public:
  static constexpr std::size_t attempts_max = 16'384;  // sockets at a time
  static constexpr Duration neighbour_looked_at_every = std::chrono::milliseconds(100);
  static constexpr Duration pause_first = std::chrono::milliseconds(10);  // after an error of this machine; doubled up to pause_max
  static constexpr Duration kernel_repeats_every = std::chrono::seconds(1);
  static constexpr Duration paid_for_before = std::chrono::milliseconds(100);
  static constexpr Duration silence_min =
      std::chrono::milliseconds(250);  // from the first probe to the verdict: a host with quick ports may have slow ones
  ConnectScan(const scan::Request& request, ScanObserver& observer, const std::function<bool()>& stop)
      : request_(request), observer_(observer), stop_(stop) {}

  Result<scan::Tally> run();

 private:
  static constexpr std::uint32_t none = 0xffffffff;

  struct ProbedPort {
    std::uint32_t attempts = none;  // the first of its attempts under way
    std::uint16_t probes = 0;
    std::uint16_t repeated = 0;     // by the kernel, on sockets that are closed
    std::uint16_t lost = 0;         // attempts given up: lost, if it turns out that the port answers
    std::uint16_t void_probes = 0;  // whose silence says nothing
    bool decided = false;
    bool looked_again = false;
    Time first_probe{};
    Time enough_at{};  // when the kernel had sent the last probe that it takes
  };

  struct Attempt {
    system::Fd fd;
    std::uint32_t port = none;  // in the group
    std::uint32_t next = none;  // attempt at the same port
    std::uint32_t generation = 0;
    Time sent{};
    Time repeated_at{};  // by the kernel, the next time
    bool canary = false;
  };

  struct Host {
    scan::RoundTrip round_trip;
    scan::Loss loss;
    std::vector<std::uint32_t> canaries;  // ports that answered with SYN/ACK or RST; closed ones where there are any
    bool canaries_closed = false;
    unsigned canaries_under_way = 0;
    std::size_t next_canary = 0;
    unsigned unreachable = 0;
    std::uint32_t undecided = 0;  // ports
    int neighbour_on = 0;         // index of the interface; 0: it is no neighbour
    Time neighbour_looked_at{};
    bool neighbour_asked = false;
    bool neighbour_silent = false;
    std::string silent_neighbour;  // in words, where one was
    // Where answers are rationed.
    scan::RecentLoss recent;
    std::unique_ptr<scan::Ration> ration;
    std::deque<std::uint32_t> held;  // until the host may be asked
  };

  struct Next {
    std::uint32_t port;
    bool canary;
  };

  struct Timer {
    Time when;
    std::uint32_t index;       // of the port, or of the attempt of a canary
    std::uint32_t generation;  // of the attempt; of a port: its number of probes
    bool canary;
    bool operator>(const Timer& other) const { return when > other.when; }
  };

  std::size_t total() const { return request_.targets.size() * request_.numbers.size(); }
  std::size_t target_of(std::uint32_t port) const { return first_target_ + port / request_.numbers.size(); }
  std::size_t number_of(std::uint32_t port) const { return port % request_.numbers.size(); }
  Host& host_of(std::uint32_t port) { return hosts_[port / request_.numbers.size()]; }
  Endpoint endpoint_of(std::uint32_t port) const { return {request_.targets[target_of(port)], Port(request_.numbers[number_of(port)])}; }

  void read_own_addresses();
  bool is_own(const Address& address) const;
  void find_ways();
  bool neighbour_is_asked(std::uint32_t port);
  const std::string& silent_neighbour(std::uint32_t port);
  Host& look_at_neighbour(std::uint32_t port);
  bool neighbour_is_silent(std::uint32_t port);
  void tell_neighbours();
  bool on_link(const Address& target) const;
  void begin_group(std::size_t first, std::size_t count);
  void run_group();
  void leave_group();
  bool something_to_send() const { return !canaries_due_.empty() || !retries_.empty() || fresh_ < order_count_; }
  void send();
  bool attempt(std::uint32_t port, bool canary);
  void local_error(std::uint32_t port, bool canary, int error);
  void schedule(std::uint32_t port);
  void due(std::uint32_t port);
  void want_canaries(Host& host);
  void remember_as_canary(std::uint32_t port, scan::State state);
  bool pass(std::uint32_t port);
  void canary_fate(std::uint32_t slot, bool received);
  void suspect(std::uint32_t port);
  void void_probes(std::uint32_t index);
  std::optional<Next> next_of_ration(std::uint32_t index);
  std::optional<Next> next_rationed();
  unsigned needed(const Host& host) const;
  void read_events();
  void read(std::uint32_t slot, int refused_with);
  void expire();
  void answered(std::uint32_t slot, scan::Verdict verdict);
  void silence(std::uint32_t port);
  void decide(std::uint32_t port, scan::Verdict verdict);
  void count(const scan::Verdict& verdict);
  void give_up(std::uint32_t slot);
  void close(std::uint32_t slot);
  void unlink(std::uint32_t slot);
  std::uint16_t sent(std::uint32_t port) const;
  unsigned counting(std::uint32_t port) const { return sent(port) - ports_[port].void_probes; }
  unsigned repetitions(std::uint32_t slot) const;
  std::uint32_t oldest(std::uint32_t port) const;
  void refill();
  void age();
  bool make_room();
  bool alive(const std::pair<std::uint32_t, std::uint32_t>& aging) const {
    return attempts_[aging.first].fd.valid() && attempts_[aging.first].generation == aging.second;
  }
  void progress(bool now);
  scan::Tally finished();

  const scan::Request& request_;
  ScanObserver& observer_;
  const std::function<bool()>& stop_;
  system::SystemClock clock_;
  system::Fd epoll_;
  bool errors_queued_ = kernel_queues_handshake_errors();
  int scope_ = 0;
  std::uint64_t seed_ = 0;
  std::vector<system::InterfaceAddress> own_;
  std::optional<system::RouteLookup> routes_;

  // The group of hosts that is asked at present.
  std::size_t first_target_ = 0;
  std::size_t group_undecided_ = 0;
  std::vector<ProbedPort> ports_;
  std::vector<Host> hosts_;
  std::uint64_t fresh_ = 0;
  std::uint64_t order_count_ = 0;
  std::optional<scan::Order> order_;
  std::deque<std::uint32_t> retries_;
  std::deque<std::uint32_t> canaries_due_;
  std::vector<std::uint32_t> rationed_;  // hosts
  std::size_t rationed_turn_ = 0;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;

  std::vector<Attempt> attempts_;
  std::vector<std::uint32_t> free_slots_;
  std::size_t under_way_ = 0;
  std::size_t attempts_limit_ = attempts_max;

  // Attempts in the order of their beginning, as (slot, generation): those that the kernel has not repeated yet, and the others.
  using Aging = std::deque<std::pair<std::uint32_t, std::uint32_t>>;
  Aging young_;
  Aging old_;

  std::optional<scan::RateControl> rate_;
  Duration settle_ = std::chrono::milliseconds(100);  // until a loss is noticed
  double tokens_ = 0;
  Time now_{};
  Time refilled_{};
  Time begun_{};
  Time last_progress_{};
  Time paused_until_{};
  Duration pause_ = pause_first;
  unsigned local_errors_in_a_row_ = 0;
  bool stopped_ = false;
  double worst_miss_ = 0;
  std::uint64_t silent_ = 0;
  std::uint64_t forced_ = 0;
  scan::Loss loss_;
  scan::Tally tally_;
};

}  // namespace drpf::probe
