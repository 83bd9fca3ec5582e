#include "scan/ask/ration.h"

#include <algorithm>
#include <utility>

namespace drpf::scan {
namespace {

constexpr Duration ration_burst = std::chrono::milliseconds(20);  // that may be made up for at once

double as_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

void RecentLoss::add(std::uint32_t received, std::uint32_t lost) {
  received_ += received;
  lost_ += lost;
  while (received_ + lost_ > remembered) {
    received_ /= 2;
    lost_ /= 2;
  }
}

void RecentLoss::came_late() {
  if (lost_ == 0) return;
  --lost_;
  ++received_;
}

void RecentLoss::is_the_line(double share) {
  received_ = lost_ = 0;
  line_ = static_cast<float>(share);
}

bool RecentLoss::suspicious() const {
  return lost_ >= lost_min && received_ + lost_ >= fates_min && share() >= std::max(share_min, line_ + share_beyond_line);
}

Ration::Ration(double rate, double lost, std::size_t ports, Time now)
    : rate_(rate), before_(lost), ports_(static_cast<double>(ports)), tokens_at_(now), kept_since_(now), begun_(now) {
  go_on(Phase::trial, rate * std::max(1 - lost, down_at_most), now);
}

void Ration::go_on(Phase phase, double rate, Time now) {
  phase_ = phase;
  rate_ = rate;
  begun_ = now;
  loss_ = {};
  arrived_ = arrived_early_ = 0;
  canaries_ = canaries_under_way_ = 0;
}

bool Ration::may_ask(Time now) {
  tokens_ = std::min(tokens_ + as_seconds(now - tokens_at_) * rate_, std::max(1.5, rate_ * as_seconds(ration_burst)));
  tokens_at_ = now;
  return tokens_ >= 1;
}

void Ration::canary_asked() {
  tokens_ -= 1;
  since_canary_ = 0;
  const auto every = phase_ == Phase::trial                                      ? 2
                     : phase_ == Phase::keep && reached_ && measured_share_ == 0 ? canary_every
                                                                                 : canary_every_growing;
  canary_after_ = 1 + (canary_after_ * 2654435761U >> 16U) % (2 * every - 1);
  ++canaries_;
  ++canaries_under_way_;
}

// More than the line loses at any rate.
bool Ration::too_much(double share, double tolerated) const { return share > line_ + tolerated * (1 - line_); }

bool Ration::wants_canary() const {
  if (phase_ == Phase::trial && canaries_ >= trial_canaries) return false;
  if (phase_ == Phase::keep && !reached_ && canaries_ >= growing_canaries) return false;
  return since_canary_ >= canary_after_ || wants_nothing_else();
}

void Ration::arrived(Time now) {
  ++arrived_;
  if (now - begun_ < look_for / 2) ++arrived_early_;
}

void Ration::canary_fate(bool received, Time sent) {
  if (sent < begun_) return;
  if (canaries_under_way_ > 0) --canaries_under_way_;
  ++(received ? loss_.received : loss_.lost);
}

void Ration::canary_not_sent() {
  if (canaries_under_way_ > 0) --canaries_under_way_;
  if (canaries_ > 0) --canaries_;
}

// That a port answers at all is known late where its probes were lost, so the first moments of a rate would look better than they are.
void Ration::fate(bool received, Time sent) {
  if (phase_ == Phase::keep && reached_ && measured_share_ == 0 && sent >= kept_since_) ++(received ? loss_.received : loss_.lost);
}

Ration::Finding Ration::judge(Time now, double elsewhere) {
  switch (phase_) {
    case Phase::trial:
      return judge_trial(now);
    case Phase::measure:
      return judge_measure(now);
    case Phase::keep:
      break;
  }
  return judge_keep(now, elsewhere);
}

Ration::Finding Ration::judge_trial(Time now) {
  if (canaries_ < trial_canaries || canaries_under_way_ > 0) return Finding::none;
  const auto share = loss_.share();
  const bool helped = share < before_ - share_helped || share < before_ / 2;
  if (!helped && share <= share_hopeless) {
    line_ = share;
    return Finding::line;
  }
  if (share <= share_tolerated) return keep(rate_, false, now);
  go_on(Phase::measure, std::min(rate_, std::clamp(ports_ * measured_at, measured_at_min, measured_at_max)), now);
  return Finding::none;
}

Ration::Finding Ration::judge_measure(Time now) {
  const auto passed = now - begun_;
  if (passed < look_for || (arrived_ < arrivals_enough && passed < measure_max)) return Finding::none;
  if (arrived_ - arrived_early_ > uneven * arrived_early_ && !std::exchange(measured_twice_, true)) {
    go_on(Phase::measure, rate_, now);
    return Finding::none;
  }
  const auto share = loss_.share();
  const auto come_in = std::max(1U, arrived_) / as_seconds(passed);
  if (bad_before_ && come_in > *limit_ * above_limit) {
    line_ = share;
    return keep(rate_, false, now);
  }
  const bool reached = too_much(share, share_tolerated);
  if (!reached && line_ > 0) line_ = std::max(line_, share);
  measured_share_ = told_ ? 0 : share;
  return keep(reached ? come_in : rate_, reached, now);
}

Ration::Finding Ration::keep(double limit, bool reached, Time now) {
  limit_ = limit;
  reached_ = reached;
  bad_before_ = measured_twice_ = false;
  kept_since_ = now;
  go_on(Phase::keep, limit, now);
  return std::exchange(told_, true) ? Finding::none : Finding::limit;
}

Ration::Finding Ration::judge_keep(Time now, double elsewhere) {
  const auto share = loss_.share();
  const bool bad = loss_.lost >= lost_min && too_much(share, reached_ ? share_tolerated_at_limit : share_tolerated);
  if (!reached_) {
    if (canaries_ < growing_canaries || canaries_under_way_ > 0 || now - begun_ < look_for_growing) return Finding::none;
    if (!bad && rate_ >= elsewhere) {
      line_ = share;
      return Finding::line;
    }
    if (!bad) limit_ = rate_;
    go_on(bad ? Phase::measure : Phase::keep, bad ? rate_ : rate_ * (line_ > 0 ? grow_on_line : grow_free), now);
    return Finding::none;
  }
  if (loss_.samples() < fates_min || now - begun_ < look_for) return Finding::none;
  // So many were asked as had come in, and as large a part was lost: the line seems to lose it. Faster step by step, for if it is a limit
  // after all, what is silent at full speed says nothing.
  if (const auto measured = std::exchange(measured_share_, 0); bad && measured > 0 && share > measured * share_same) {
    line_ = std::max(share, measured);
    return keep(rate_ * grow_on_line, false, now);
  }
  if (bad && rate_ <= *limit_ * below_limit && std::exchange(bad_before_, true)) {
    go_on(Phase::measure, *limit_ * doubted_at, now);  // it has changed, or is none
  } else if (!bad && rate_ >= *limit_ * above_limit) {
    go_on(Phase::measure, rate_ * above_limit, now);
  } else {
    if (!bad) bad_before_ = false;
    go_on(Phase::keep, std::clamp(rate_ * (bad ? shrink : grow), *limit_ * below_limit, *limit_ * above_limit), now);
  }
  return Finding::none;
}

}  // namespace drpf::scan
