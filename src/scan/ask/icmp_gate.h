// Hosts limit how many ICMP errors they send (Linux: 6 at once, then 1 a second for IPv4, 10 for IPv6), and a closed UDP port says so by
// such an error. The gate of one host asks a few ports, finds the limit if there is one, and then lets probes through no faster than
// answers can come back: only then silence means something. Only answers use the limit up, so silent ports do not slow it down.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "core/time.h"

namespace drpf::scan {

class IcmpGate {
 public:
  static constexpr std::uint32_t sample_size = 40;
  static constexpr std::uint32_t judged_min = 8;  // fewer probes than that are within what hosts answer at once
  static constexpr double silent_share_suspicious = 0.3;
  static constexpr int references_max = 20;    // probes to a closed port that find the limit
  static constexpr int references_quick = 10;  // of these, the first
  static constexpr Duration quick_gap = std::chrono::milliseconds(50);
  static constexpr Duration slow_gap = std::chrono::milliseconds(220);
  static constexpr double safety = 1.02;
  static constexpr double safety_unsure = 1.12;  // a limit that was measured by few answers
  static constexpr int sure_answers = 5;
  static constexpr double slower = 0.9;
  static constexpr double limit_min = 0.05;  // errors per second

  // `ports`: how many will be asked.
  explicit IcmpGate(std::uint32_t ports) : sample_(ports < sample_size ? ports : sample_size), free_(ports < judged_min) {}

  bool may_ask(Time now) const;
  void asked() {
    ++outstanding_;
    ++asked_;
  }
  // What became of one that was asked.
  void answered_by_icmp(Time now, bool after_silence = false);  // it had been silent before: the limit is lower than thought
  void answered() { settle(); }
  void silent() {
    ++silent_;
    settle();
  }

  bool wants_reference(Time now) const { return measuring_ && references_ < references_max && now >= next_reference_; }
  void reference_asked(Time now);
  void reference_answered(Time now);

  // True when a limit was found, or corrected: what was silent so far says nothing.
  bool decide(Time now);

  bool measuring() const { return measuring_; }
  bool decided() const { return free_ || limit_.has_value(); }
  std::optional<double> limit() const { return limit_; }  // ICMP errors per second

 private:
  Duration gap() const;
  void settle() {
    if (outstanding_ > 0) --outstanding_;
  }

  std::uint32_t sample_;
  bool free_;
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
  bool doubted_ = false;
  Time next_{};
};

}  // namespace drpf::scan
