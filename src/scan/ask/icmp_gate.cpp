#include "scan/ask/icmp_gate.h"

#include <algorithm>

namespace drpf::scan {

bool IcmpGate::may_ask(Time now) const {
  if (free_) return true;
  if (limit_) return outstanding_ == 0 && now >= next_;
  return !measuring_ && asked_ < sample_;
}

void IcmpGate::answered_by_icmp(Time now, bool after_silence) {
  ++errors_;
  settle();
  // The first error of a host that seemed silent: maybe its limit was used up before we came.
  if (free_ && provisional_ && silent_ >= judged_min) {
    free_ = provisional_ = false;
    measuring_ = true;
    next_reference_ = now;
  }
  if (!limit_) return;
  if (after_silence) {
    limit_ = std::max(*limit_ * slower, limit_min);
    doubted_ = true;
  }
  next_ = now + gap();
}

void IcmpGate::reference_asked(Time now) {
  if (references_ > 0 && !reference_answered_ && !empty_since_) empty_since_ = now;  // what could be answered at once is used up
  reference_answered_ = false;
  ++references_;
  const bool slow = references_ >= references_quick && references_answered_ <= 2;
  next_reference_ = now + (slow ? slow_gap : quick_gap);
}

void IcmpGate::reference_answered(Time now) {
  if (!measuring_) return;
  reference_answered_ = true;
  ++references_answered_;
  if (!empty_since_) return;
  if (answered_when_empty_++ == 0) first_answer_ = now;
  last_answer_ = now;
}

Duration IcmpGate::gap() const {
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>((answered_when_empty_ < sure_answers ? safety_unsure : safety) / *limit_));
}

bool IcmpGate::decide(Time now) {
  if (limit_ && doubted_) {
    doubted_ = false;
    return true;
  }
  if (free_ || limit_) return false;
  if (!measuring_) {
    if (asked_ < sample_ || outstanding_ > 0) return false;
    const double share = static_cast<double>(silent_) / static_cast<double>(std::max(1U, asked_));
    if (errors_ == 0 || share < silent_share_suspicious) {
      free_ = true;
      provisional_ = errors_ == 0;
      return false;
    }
    measuring_ = true;
    next_reference_ = now;
    return false;
  }
  if (references_ < references_max || now < next_reference_) return false;
  measuring_ = false;
  if (references_answered_ >= references_max * 9 / 10) {  // silence had another reason
    free_ = true;
    return false;
  }
  const auto seconds = [](Duration duration) { return std::chrono::duration<double>(duration).count(); };
  if (answered_when_empty_ >= 2)
    limit_ = (answered_when_empty_ - 1) / std::max(0.01, seconds(last_answer_ - first_answer_));
  else
    limit_ = std::max(0.5, static_cast<double>(answered_when_empty_)) / std::max(0.5, seconds(now - empty_since_.value_or(now)));
  next_ = now + gap();
  return true;
}

}  // namespace drpf::scan
