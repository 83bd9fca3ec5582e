#include "scan/ask/icmp_gate.h"

#include <algorithm>
#include <utility>

namespace drpf::scan {
namespace {

double in_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

IcmpGate IcmpGate::in_doubt(std::uint32_t errors, Time now) {
  IcmpGate gate(0);
  gate.errors_ = errors;
  gate.measuring_ = true;
  gate.next_reference_ = now;
  return gate;
}

double IcmpGate::room(Time now) const { return std::min(at_once_, room_ + in_seconds(now - room_at_) * pace()); }

bool IcmpGate::may_ask(Time now) const {
  if (free_) return true;
  if (limit_) return !hopeless() && !verifying_ && unverified_ < silences_ && room(now) >= outstanding_ + 1.0;
  return !measuring_ && asked_ < sample_;
}

void IcmpGate::not_sent() {
  settle();
  if (asked_ > 0) --asked_;
}

void IcmpGate::given_up() { sample_ = std::max(asked_, sample_ - std::min(sample_, 1U)); }

void IcmpGate::error_came(Time now) {
  if (!limit_) return;
  room_ = std::max(0.0, room(now) - 1);
  room_at_ = now;
}

void IcmpGate::port_answered(Time now, bool after_silence) {
  ++errors_;
  // The first error of a host that seemed silent: maybe its limit was used up before we came.
  if (free_ && provisional_ && silent_ > 0) {
    free_ = provisional_ = false;
    measuring_ = true;
    next_reference_ = now;
  }
  if (!limit_) return;
  if (unverified_ > 0) --unverified_;  // it was late, no more
  ++(after_silence ? late_ : prompt_);
  if (after_silence) limit_ = std::max(*limit_ * a_little_slower, slowest_);
  if (!after_silence && unsure_) limit_ = std::max(*limit_, std::min(*limit_ * faster, limit_unsure_max));
  if (late_ + prompt_ < fates_judged) return;
  const bool suspicious = late_ > late_share_suspicious * (late_ + prompt_);
  late_ = prompt_ = 0;
  if (!suspicious || *limit_ <= slowest_) return;
  unsure_ = false;
  limit_ = std::max(*limit_ * slower, slowest_);
  at_once_ = std::max(1.0, at_once_ / 2);
  room_ = 0;
  room_at_ = now;
  doubted_ = true;
}

bool IcmpGate::wants_reference(Time now, bool last) const {
  if (measuring_) return references_ < references_max && now >= next_reference_;
  if (!limit_ || verifying_ || hopeless() || outstanding_ > 0 || unverified_ == 0) return false;
  return (last || unverified_ >= silences_) && room(now) >= 1;
}

IcmpGate::Silence IcmpGate::judge_silence(Time now, Duration wait) {
  if (verifying_ && now - *verifying_ > std::max<Duration>(wait, reference_wait)) {
    verifying_.reset();
    verified_ = Silence::void_;
    ++verified_in_vain_;
    unverified_ = 0;
    silences_ = silences_first;
    room_ = 0;
    room_at_ = now;
  }
  return std::exchange(verified_, Silence::open);
}

void IcmpGate::reference_asked(Time now) {
  if (limit_) {
    verifying_ = now;
    return;
  }
  if (references_ > 0 && !reference_answered_ && !empty_since_) empty_since_ = now;  // what could be answered at once is used up
  reference_answered_ = false;
  ++references_;
  const bool slow = references_ >= references_quick && references_answered_ <= 2;
  next_reference_ = now + (slow ? slow_gap : quick_gap);
}

void IcmpGate::reference_answered(Time now) {
  if (verifying_) {
    verifying_.reset();
    verified_ = Silence::meant;
    verified_in_vain_ = 0;
    unverified_ = 0;
    silences_ = std::min(silences_ * 2, silences_max);
  }
  if (!measuring_) return;
  reference_answered_ = true;
  ++references_answered_;
  if (!empty_since_) return;
  if (answered_when_empty_++ == 0) first_answer_ = now;
  last_answer_ = now;
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
    const bool may_be_limited = errors_ > 0 && silent_ > 0 && (errors_ <= errors_few || share >= silent_share_suspicious);
    if (!may_be_limited) {
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
  if (answered_when_empty_ >= 2)
    limit_ = (answered_when_empty_ - 1) / std::max(0.01, in_seconds(last_answer_ - first_answer_));
  else
    limit_ = std::max(0.5, static_cast<double>(answered_when_empty_)) / std::max(0.5, in_seconds(now - empty_since_.value_or(now)));
  limit_ = std::max(*limit_, limit_min);
  slowest_ = *limit_ * slowest_share;
  unsure_ = answered_when_empty_ == 0;
  at_once_ = std::clamp<double>(errors_, 1, at_once_max);
  room_at_ = now;
  return true;
}

}  // namespace drpf::scan
