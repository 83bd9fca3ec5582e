// How fast to ask: doubles while answers come, halves where loss rises with the rate, and goes back up where it does not, because then
// the line loses packets at any rate. Knows only the fates of probes to ports that do answer; counts no packets itself.
#pragma once

#include <array>
#include <cstdint>
#include <deque>

#include "core/time.h"
#include "scan/ask/loss.h"

namespace drpf::scan {

class RateControl {
 public:
  static constexpr Duration epoch_length = std::chrono::milliseconds(20);
  static constexpr std::size_t epochs_max = 512;
  static constexpr std::uint64_t judged_samples_min = 60;
  static constexpr std::uint64_t growth_answers_min = 4;
  static constexpr double rate_min = 0.1;
  static constexpr double slowed_to = 0.7;     // by an error of sending,
  static constexpr double restored_by = 1.2;   // each time none came for a while
  static constexpr double slowed_min = 100;    // but not below this rate: slower it would not work either
  static constexpr double loss_margin = 0.03;  // beyond what chance explains
  static constexpr double additive_share = 0.02;

  RateControl(double start, double ceiling);

  double rate() const { return rate_; }
  // Of a probe that was sent at this time, to a port that answers.
  void answered(Time sent);
  void lost(Time sent);
  void lost_came_late(Time sent);  // was told as lost
  void send_error(Time now);
  // `settle`: how long it takes until a loss is noticed.
  void tick(Time now, Duration settle);

 private:
  struct Epoch {
    Time begin;
    double rate = 0;
    Loss loss;
  };
  enum class Mode { doubling, trial, adding };
  static constexpr std::size_t levels = 32;  // powers of two of the rate

  Epoch* epoch_of(Time sent);
  void judge(double rate, const Loss& loss, Time now);
  void halve(Time now);
  void change(double rate, Time now);
  // Of all rates clearly below this one.
  Loss below(double rate) const;
  static bool significantly_more(const Loss& loss, const Loss& base);
  static std::size_t level_of(double rate);

  double rate_;
  double ceiling_;
  Mode mode_ = Mode::doubling;
  std::deque<Epoch> epochs_;  // not judged yet; the last is the present one
  std::uint64_t answers_since_change_ = 0;
  Time changed_{};
  std::array<Loss, levels> history_{};
  Loss pending_;  // judged together when there are enough
  double pending_rate_ = 0;
  double trial_rate_ = 0;
  Loss trial_loss_;
  Time slowed_{};
  double restored_to_ = 0;  // when errors of sending have ceased; 0: it is
};

}  // namespace drpf::scan
