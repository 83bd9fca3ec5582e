// The scan as a machine: says which probe is next, takes answers, decides. Sends nothing and reads no clock: `now` comes in. Hosts are
// worked on in groups, whose ports are asked in a random order; only what stays silent is asked again.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/time.h"
#include "scan/ask/icmp_gate.h"
#include "scan/ask/loss.h"
#include "scan/ask/order.h"
#include "scan/ask/rate_control.h"
#include "scan/ask/ration.h"
#include "scan/ask/reply_packet.h"
#include "scan/ask/retry_wheel.h"
#include "scan/ask/round_trip.h"
#include "scan/port_table.h"
#include "scan/request.h"

namespace drpf::scan {

// What is known of a target before it is asked.
struct HostStart {
  Duration first_timeout = std::chrono::seconds(1);
  std::optional<Verdict> settled = {};  // of all its ports: no route, no neighbour
};

inline constexpr Duration first_timeout_on_link = std::chrono::milliseconds(90);
inline constexpr Duration first_timeout_routed = std::chrono::seconds(1);

struct Probe {
  std::uint32_t target = 0;  // index
  std::uint16_t number = 0;
  std::uint16_t source_port = 0;
  std::uint32_t cell = 0;
};

class Schedule {
 public:
  using Sink = std::function<void(std::size_t target, std::size_t number, const Verdict&)>;

  static constexpr std::uint16_t attempt_ports = 32;  // of SourcePorts::count: one per attempt, in turn
  static constexpr std::uint16_t canary_ports = 31;   // then one per canary under way; the last is TFTP's
  static constexpr Duration burst = std::chrono::milliseconds(5);
  static constexpr std::uint8_t send_failures_max = 10;  // per port, then it is a local error
  static constexpr std::size_t canaries_max = 64;
  static constexpr std::uint8_t canaries_of_open_port = 24;   // a service is not loaded for the sake of a measurement
  static constexpr double undecided_above = expected_misses;  // a silent port that would be missed more often than this stays undecided

  // `request` outlives the schedule. One HostStart for each target.
  Schedule(const Request& request, std::vector<HostStart> hosts, double start_rate, SourcePorts ports, std::uint64_t seed, Time start,
           Sink sink);

  // Fills `out` with what is to be sent now; they count as sent.
  std::size_t next(Time now, std::span<Probe> out);
  void not_sent(const Probe& probe, int error, Time now);
  // False: it answers nothing that was asked.
  bool answered(const Reply& reply, Time received);
  // The latest time at which next() or finished() have to be asked again.
  Time wake(Time now) const;
  // Goes on to the next hosts where these are done.
  bool finished(Time now);
  // Tells what there is; the rest is undecided.
  void stop();

  Tally tally(Time now) const;
  void count_stray() { ++tally_.strays; }

 private:
  static constexpr std::size_t known_max = 8;
  struct Host {
    RoundTrip round_trip;
    Loss loss;
    std::uint32_t unanswered = 0;  // ports
    std::uint32_t answered = 0;
    std::uint32_t open = 0;
    unsigned probes_needed = probes_min;
    std::uint8_t usual_ttl = 0;  // of the host itself; 0: not known
    std::unordered_map<std::uint8_t, std::uint32_t> ttls_of_open;
    std::unordered_map<std::uint8_t, std::uint32_t> ttls;
    // Where closed ports answer by ICMP.
    std::optional<IcmpGate> gate;
    std::optional<std::uint32_t> reference;
    std::vector<std::uint32_t> silences;  // ports whose silence may be that of the limit
    std::uint32_t errors = 0;             // ports that were answered by one
    // Where answers are rationed.
    RecentLoss recent;
    std::unique_ptr<Ration> ration;
    std::array<std::uint32_t, known_max> known{};  // ports that answer; closed ones where there are any
    std::uint8_t known_count = 0;
    bool known_closed = false;
    std::deque<std::uint32_t> held;  // until the host may be asked
  };
  struct Canary {
    std::uint32_t cell = 0;
    Time sent{};
    bool under_way = false;
    bool overdue = false;
  };

  void begin_group();
  void end_group();
  bool group_is_done(Time now);
  bool look_again(Time now);
  bool doubt_silence(Time now);
  std::optional<std::uint32_t> next_first();
  std::optional<std::uint32_t> next_again();
  std::optional<Probe> next_canary(Time now);
  std::optional<Probe> next_paced(Time now);
  std::optional<Probe> next_of_gate(std::uint32_t index, Time now);
  std::optional<Probe> next_of_ration(std::uint32_t index, Time now);
  std::optional<Probe> canary_of(std::uint32_t cell, Time now);
  Probe ask_again(std::uint32_t cell);
  bool pass(std::uint32_t cell, Time now);
  void be_paced(std::uint32_t host);
  void suspect(std::uint32_t index, Time now);
  bool is_canary(const Probe& probe) const;
  bool is_loaded(std::uint32_t cell) const;
  void forget_loss(Host& host);
  void count_reference(Host& host, bool received);
  void void_attempts(std::uint32_t host);
  void void_silences(std::uint32_t host);
  Probe send(std::uint32_t cell, Time now);
  void expire(std::uint32_t cell, Time now);
  void expire_canaries(Time now);
  void canary_answered(std::size_t slot, std::uint32_t cell, Time received);
  void sample(std::uint32_t cell, std::uint32_t attempt, Time received);
  void remember_as_canary(std::uint32_t cell);
  void update_needs();
  bool ask_parked();
  double loss_of(const Host& host) const;
  unsigned needed(const Host& host) const;
  Verdict verdict(std::uint32_t cell) const;
  Verdict silent_verdict(const PortCell& cell, const Host& host, std::uint32_t number) const;
  static void judge_ttls(Host& host);
  static bool closed_by_icmp(Kind kind) { return kind == Kind::udp || kind == Kind::ip_protocol; }
  Duration timeout_of(const Host& host) const;
  Duration wait_after(const PortCell& cell, const Host& host) const;
  std::uint32_t micros(Time time) const { return static_cast<std::uint32_t>((time - start_) / std::chrono::microseconds(1)); }

  const Request& request_;
  std::vector<HostStart> starts_;
  SourcePorts ports_;
  std::uint64_t seed_;
  Time start_;
  Sink sink_;
  RateControl rate_;
  std::unordered_map<Address, std::uint32_t> targets_;
  std::vector<std::int32_t> number_index_;  // -1: not asked

  // The active group.
  std::uint32_t first_target_ = 0;
  std::uint32_t group_hosts_ = 0;
  std::uint32_t group_hosts_max_ = 1;
  PortTable table_;
  std::vector<Host> hosts_;
  Order order_{0, 1};
  std::uint64_t next_index_ = 0;
  int pass_ = 0;  // UDP asks the ports whose service it can address first
  RetryWheel wheel_;
  std::deque<std::uint32_t> again_;
  std::uint32_t waiting_ = 0;
  std::uint32_t held_ = 0;
  std::vector<std::uint32_t> paced_;  // hosts whose gate is shut or not decided, or whose answers are rationed
  std::size_t paced_turn_ = 0;
  Time last_sent_{};
  Time needs_updated_{};
  bool looked_again_ = false;
  bool all_done_ = false;
  Time idle_since_{};
  unsigned idle_calls_ = 0;

  // Canaries: ports that answered once and are asked again, to learn what is lost.
  std::vector<std::uint32_t> answering_;
  std::array<Canary, canary_ports> canaries_{};
  std::size_t canary_turn_ = 0;
  std::uint64_t canary_fates_ = 0;
  double quiet_ = 0;

  double tokens_ = 0;
  Time tokens_at_{};
  Loss loss_;
  RoundTrip others_;  // of all hosts together
  Duration timeout_known_ = std::chrono::milliseconds(200);
  std::uint64_t answered_ports_ = 0;
  std::uint64_t silent_ = 0;  // ports of hosts that are done
  double worst_miss_ = 0;
  Tally tally_;
};

}  // namespace drpf::scan
