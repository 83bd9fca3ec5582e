// How fast one host may be asked whose answers are rationed: so many resets, new flows or SYNs a second and no more, however fast one asks.
// Begins where many probes to ports that do answer were lost: comes down at once to the rate at which answers came, and sees whether less
// is lost there. If not, the line loses packets at any rate; if so, what comes in a second is counted, and so much is asked from then on.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "core/time.h"
#include "scan/ask/loss.h"

namespace drpf::scan {

// The latest fates of canaries of one host: whether a ration is to be suspected. Ordinary probes would make it look worse than it is: of
// those, what is lost is known when the port is asked again, together with others that were lost.
class RecentLoss {
 public:
  static constexpr std::uint32_t lost_min = 5;
  static constexpr std::uint32_t fates_min = 8;
  static constexpr double share_min = 0.3;
  static constexpr double share_beyond_line = 0.2;  // what the line loses at any rate is no ration
  static constexpr std::uint32_t remembered = 64;

  void add(std::uint32_t received, std::uint32_t lost);
  void came_late();
  void is_the_line(double share);
  bool suspicious() const;
  double share() const { return static_cast<double>(lost_) / static_cast<double>(received_ + lost_ == 0 ? 1 : received_ + lost_); }

 private:
  std::uint32_t received_ = 0;
  std::uint32_t lost_ = 0;
  float line_ = 0;
};

class Ration {
 public:
  static constexpr Duration look_for = std::chrono::seconds(1);  // at least, at a limit: some count by the second
  static constexpr Duration look_for_growing = std::chrono::milliseconds(250);
  static constexpr Duration measure_max = std::chrono::seconds(3);
  static constexpr std::uint32_t arrivals_enough = 8;
  static constexpr std::uint32_t trial_canaries = 24;
  static constexpr double measured_at = 0.3;  // of the ports that are left, each second
  static constexpr double measured_at_min = 10;
  static constexpr double measured_at_max = 1000;
  static constexpr double share_hopeless = 0.6;  // then it is still much too fast
  static constexpr double share_helped = 0.25;   // less than before: it was not the line
  static constexpr double share_same = 0.6;      // of what was lost where more was asked: it is the line
  static constexpr double share_tolerated = 0.15;
  static constexpr double share_tolerated_at_limit = 0.1;
  static constexpr std::uint32_t uneven = 3;  // times as many answers in the second half: what came before had used the limit up
  static constexpr std::uint32_t fates_min = 8;
  static constexpr std::uint32_t growing_canaries = 12;  // in one look; it ends when all their fates are known
  static constexpr std::uint32_t lost_min = 3;
  static constexpr double down_at_most = 1.0 / 32;
  static constexpr double grow = 1.05;       // by the look, at a limit,
  static constexpr double grow_free = 2;     // and where there was none up to here,
  static constexpr double grow_on_line = 4;  // or what is lost seems to be lost at any rate
  static constexpr double shrink = 0.9;
  static constexpr double below_limit = 0.7;  // nor slower than this
  static constexpr double above_limit = 1.5;
  static constexpr double doubted_at = 3;            // times the limit: more than that answers there show that it is none
  static constexpr std::uint32_t canary_every = 32;  // probes, at the limit,
  static constexpr std::uint32_t canary_every_growing = 4;
  static constexpr Duration retry_after = std::chrono::milliseconds(400);  // of a silent port: not all of its probes in one bad moment

  enum class Finding : std::uint8_t { none, limit, line };

  // `lost`: of the probes that were sent at `rate`. `ports`: that have not answered.
  Ration(double rate, double lost, std::size_t ports, Time now);

  bool may_ask(Time now);
  void asked() {
    tokens_ -= 1;
    ++since_canary_;
  }
  void canary_asked();
  // The next probe should go to a port that is known to answer.
  bool wants_canary() const;
  // Nothing else should be asked now: nearly all of it would be lost, or it is about to be known whether it would.
  bool wants_nothing_else() const { return phase_ == Phase::trial && (before_ > share_hopeless || canaries_ >= trial_canaries); }
  // An answer came, whichever probe it belongs to.
  void arrived(Time now);
  void canary_fate(bool received, Time sent);
  void canary_not_sent();
  // Of an ordinary probe, to a port that has turned out to answer.
  void fate(bool received, Time sent);
  // `limit`, once: it was a ration, and what was silent before says nothing. `line`: it is none. `elsewhere`: the rate that is kept anyway.
  Finding judge(Time now, double elsewhere);

  bool trying() const { return phase_ == Phase::trial; }
  bool measuring() const { return phase_ == Phase::measure; }
  bool found() const { return phase_ == Phase::keep; }
  std::optional<double> limit() const { return limit_; }  // answers per second
  double line() const { return line_; }                   // what is lost at any rate

 private:
  // Is less lost at a lower rate? How many come where more are asked for? At that rate.
  enum class Phase : std::uint8_t { trial, measure, keep };
  void go_on(Phase phase, double rate, Time now);
  Finding judge_trial(Time now);
  Finding judge_measure(Time now);
  Finding judge_keep(Time now, double elsewhere);
  Finding keep(double limit, bool reached, Time now);
  bool too_much(double share, double tolerated) const;

  Phase phase_ = Phase::trial;
  double rate_;
  double before_;  // share of losses at the rate from which it came down
  double ports_;
  double tokens_ = 0;
  Time tokens_at_;
  double line_ = 0;
  double measured_share_ = 0;  // of losses, where the limit was measured; 0: that is settled
  std::optional<double> limit_;
  bool reached_ = false;  // the limit was seen; else it is only a rate at which nothing was lost
  bool told_ = false;
  bool bad_before_ = false;
  Time kept_since_;  // what was sent before says nothing about this rate
  Time begun_;       // this look
  Loss loss_;
  std::uint32_t arrived_ = 0;
  std::uint32_t arrived_early_ = 0;  // of these, in the first half of the look
  bool measured_twice_ = false;
  std::uint32_t canaries_ = 0;  // in this look
  std::uint32_t canaries_under_way_ = 0;
  std::uint32_t since_canary_ = 0;
  std::uint32_t canary_after_ = 1;  // probes; varied, or canaries would always meet the same moment of a limit
};

}  // namespace drpf::scan
