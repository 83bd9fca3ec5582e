// Hosts limit how many ICMP errors they send (Linux: 6 at once, then 1 a second for IPv4, 10 for IPv6), and so do the routers that answer
// for them; a closed UDP port says so by such an error. The gate of one host asks a few ports, finds the limit if there is one, and then
// has no more probes under way than errors could come back: only then silence means something. Only errors use the limit up, so silent
// ports do not slow it down.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "core/time.h"

namespace drpf::scan {

class IcmpGate {
 public:
  static constexpr std::uint32_t sample_size = 40;
  static constexpr double silent_share_suspicious = 0.3;
  static constexpr std::uint32_t errors_few = 10;  // so many may come at once where a limit begins after them
  static constexpr int references_max = 20;        // probes to a closed port that find the limit
  static constexpr int references_quick = 10;      // of these, the first
  static constexpr Duration quick_gap = std::chrono::milliseconds(50);
  static constexpr Duration slow_gap = std::chrono::milliseconds(220);
  static constexpr double at_once_max = 3;            // that are asked together, though more may be allowed
  static constexpr std::uint32_t silences_first = 2;  // that one reference stands for,
  static constexpr std::uint32_t silences_max = 64;   // and when many of them have been meant
  static constexpr Duration reference_wait = std::chrono::milliseconds(400);
  static constexpr int verified_in_vain_max = 12;
  static constexpr double safety = 1.02;
  static constexpr double safety_unsure = 1.12;  // a limit that was measured by few answers
  static constexpr int sure_answers = 5;
  static constexpr double limit_min = 0.05;        // errors per second
  static constexpr double limit_unsure_max = 1.0;  // what a limit that was found by no answer at all may grow to
  static constexpr double faster = 1.5;
  static constexpr std::uint32_t fates_judged = 8;  // of ports that answered under the limit: at once, or after silence
  static constexpr double late_share_suspicious = 0.3;
  static constexpr double slower = 0.9;
  static constexpr double a_little_slower = 0.97;  // for each that came late
  static constexpr double slowest_share = 0.35;    // of the limit as it was measured

  // `ports`: how many will be asked.
  explicit IcmpGate(std::uint32_t ports) : sample_(ports < sample_size ? ports : sample_size) {}

  // Of a host whose ports have been asked already, and so many of them answered by an error: whether there is a limit is to be seen.
  static IcmpGate in_doubt(std::uint32_t errors, Time now);

  bool may_ask(Time now) const;
  void asked() {
    ++outstanding_;
    ++asked_;
  }
  // What became of one that was asked.
  void silent() {
    ++silent_;
    if (limit_) ++unverified_;
    settle();
  }
  void answered() { settle(); }
  void not_sent();  // it is asked again, or given up
  void given_up();  // it will not be asked any more
  // An error came, whichever probe it answers.
  void error_came(Time now);
  // It was the first of its port. `after_silence`: an earlier probe of that port ought to have been answered.
  void port_answered(Time now, bool after_silence);

  // Under a limit, silence is believed when a port that does answer was asked behind it. `last`: no other port is to be asked.
  bool wants_reference(Time now, bool last) const;
  void reference_asked(Time now);
  void reference_answered(Time now);

  // True when a limit was found, or corrected: what was silent so far says nothing.
  bool decide(Time now);
  enum class Silence : std::uint8_t { open, meant, void_ };
  // Once each: what was silent since the last time is known to have been asked while an error could come, or it says nothing.
  Silence judge_silence(Time now, Duration wait);
  bool silence_open() const { return limit_ && (unverified_ > 0 || verifying_); }
  bool hopeless() const { return verified_in_vain_ >= verified_in_vain_max; }  // no error comes any more

  bool measuring() const { return measuring_; }
  bool decided() const { return free_ || limit_.has_value(); }
  std::optional<double> limit() const { return limit_; }  // ICMP errors per second

 private:
  double room(Time now) const;  // errors that could come at once
  double pace() const { return *limit_ / (answered_when_empty_ < sure_answers ? safety_unsure : safety); }
  void settle() {
    if (outstanding_ > 0) --outstanding_;
  }

  std::uint32_t sample_;
  bool free_ = false;
  bool provisional_ = false;  // free only because there was no error at all
  bool measuring_ = false;
  std::uint32_t outstanding_ = 0;
  std::uint32_t asked_ = 0;
  std::uint32_t silent_ = 0;
  std::uint32_t errors_ = 0;
  int references_ = 0;
  int references_answered_ = 0;
  Time next_reference_{};
  bool reference_answered_ = false;  // the last one
  int answered_when_empty_ = 0;
  std::optional<Time> empty_since_;
  Time first_answer_{};
  Time last_answer_{};
  std::optional<double> limit_;
  double slowest_ = 0;  // what is late at this rate has another reason
  double at_once_ = 1;  // errors that come at once after a pause
  double room_ = 0;     // at room_at_
  Time room_at_{};
  std::uint32_t unverified_ = 0;  // silences
  std::uint32_t silences_ = silences_first;
  std::optional<Time> verifying_;  // since then
  Silence verified_ = Silence::open;
  int verified_in_vain_ = 0;
  std::uint32_t prompt_ = 0;
  std::uint32_t late_ = 0;
  bool doubted_ = false;
  bool unsure_ = false;  // no answer at all has measured it
};

}  // namespace drpf::scan
