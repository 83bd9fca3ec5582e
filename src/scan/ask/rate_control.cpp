#include "scan/ask/rate_control.h"

#include <algorithm>
#include <cmath>

namespace drpf::scan {

RateControl::RateControl(double start, double ceiling)
    : rate_(std::clamp(start, rate_min, std::max(ceiling, rate_min))), ceiling_(std::max(ceiling, rate_min)) {}

std::size_t RateControl::level_of(double rate) {
  return static_cast<std::size_t>(std::clamp(std::log2(std::max(rate, 1.0)), 0.0, static_cast<double>(levels - 1)));
}

Loss RateControl::below(double rate) const {
  Loss sum;
  for (std::size_t level = 0; level < level_of(rate); ++level) {
    sum.received += history_[level].received;
    sum.lost += history_[level].lost;
  }
  return sum;
}

// Three standard deviations of the difference of two shares, and a margin.
bool RateControl::significantly_more(const Loss& loss, const Loss& base) {
  const auto n = static_cast<double>(loss.samples());
  const auto m = static_cast<double>(std::max<std::uint64_t>(base.samples(), 1));
  const double pooled = static_cast<double>(loss.lost + base.lost) / (n + m);
  const double chance = 3 * std::sqrt(pooled * (1 - pooled) * (1 / n + 1 / m));
  return loss.share() > base.share() + loss_margin + chance;
}

RateControl::Epoch* RateControl::epoch_of(Time sent) {
  for (auto epoch = epochs_.rbegin(); epoch != epochs_.rend(); ++epoch)
    if (epoch->begin <= sent) return &*epoch;
  return nullptr;
}

void RateControl::answered(Time sent) {
  if (sent >= changed_) ++answers_since_change_;
  if (auto* epoch = epoch_of(sent)) ++epoch->loss.received;
}

void RateControl::lost(Time sent) {
  if (auto* epoch = epoch_of(sent)) ++epoch->loss.lost;
}

void RateControl::lost_came_late(Time sent) {
  auto* epoch = epoch_of(sent);
  if (epoch == nullptr || epoch->loss.lost == 0) return;
  --epoch->loss.lost;
  ++epoch->loss.received;
}

void RateControl::change(double rate, Time now) {
  rate_ = std::clamp(rate, rate_min, ceiling_);
  changed_ = now;
  answers_since_change_ = 0;
  if (!epochs_.empty()) epochs_.push_back({now, rate_, {}});
}

void RateControl::send_error(Time now) {
  if (now - slowed_ < epoch_length) return;
  slowed_ = now;
  mode_ = Mode::adding;
  restored_to_ = std::max(restored_to_, rate_);
  change(std::max(rate_ * slowed_to, std::min(rate_, slowed_min)), now);
}

void RateControl::halve(Time now) {
  restored_to_ = 0;
  change(rate_ / 2, now);
}

void RateControl::tick(Time now, Duration settle) {
  if (epochs_.empty()) {
    epochs_.push_back({now, rate_, {}});
    changed_ = now;
  }
  while (epochs_.size() > 1 && (epochs_[1].begin + settle <= now || epochs_.size() > epochs_max)) {
    const auto epoch = epochs_.front();
    epochs_.pop_front();
    if (pending_.samples() > 0 && level_of(pending_rate_) != level_of(epoch.rate)) pending_ = {};
    pending_rate_ = epoch.rate;
    pending_.received += epoch.loss.received;
    pending_.lost += epoch.loss.lost;
    if (pending_.samples() < judged_samples_min) continue;
    const auto loss = pending_;
    pending_ = {};
    judge(epoch.rate, loss, now);
  }
  if (now - epochs_.back().begin < epoch_length) return;
  if (restored_to_ > rate_ && now - slowed_ >= 2 * epoch_length) return change(std::min(rate_ * restored_by, restored_to_), now);
  if (restored_to_ <= rate_) restored_to_ = 0;
  const bool may_grow = rate_ < ceiling_ && answers_since_change_ >= growth_answers_min;
  if (may_grow && mode_ == Mode::doubling) return change(rate_ * 2, now);
  if (may_grow && mode_ == Mode::adding) return change(rate_ * (1 + additive_share), now);
  epochs_.push_back({now, rate_, {}});
}

void RateControl::judge(double rate, const Loss& loss, Time now) {
  const auto base = below(rate);
  auto& level = history_[level_of(rate)];
  if (level.samples() > 4096) level = {level.received / 2, level.lost / 2};  // lines change
  level.received += loss.received;
  level.lost += loss.lost;
  const bool still_there = level_of(rate_) == level_of(rate);
  if (mode_ == Mode::trial) {
    if (!still_there) return;
    if (significantly_more(trial_loss_, loss)) {
      mode_ = Mode::adding;  // fewer packets, less loss: it was congestion
    } else {
      mode_ = Mode::doubling;  // it is the line, or a bad moment that has passed
      change(trial_rate_, now);
    }
    return;
  }
  // With nothing to compare with, any loss is worth a try at half the rate.
  const bool compared = base.samples() >= judged_samples_min;
  if (level_of(rate_) < level_of(rate) || (!compared && !still_there)) return;
  if (!significantly_more(loss, compared ? base : Loss{judged_samples_min, 0})) return;
  trial_rate_ = rate_;
  trial_loss_ = loss;
  mode_ = Mode::trial;
  halve(now);
}

}  // namespace drpf::scan
