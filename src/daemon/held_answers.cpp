#include "daemon/held_answers.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

namespace drpf::daemon {

void HeldAnswers::hold(api::Settling settling, Answer answer) {
  if (settled_(settling)) return answer();
  held_.push_back({settling, clock_.now() + hold_max, std::move(answer)});
  if (held_.size() > answers_max) give_up(1);
  if (!timer_.active()) expect_next();
}

void HeldAnswers::release() {
  std::vector<Answer> ready;
  std::erase_if(held_, [&](Held& held) {
    if (!settled_(held.settling)) return false;
    ready.push_back(std::move(held.answer));
    return true;
  });
  if (held_.empty()) timer_.cancel();
  // An answer may bring the next one to hold.
  for (const auto& answer : ready) answer();
}

void HeldAnswers::give_up(std::size_t count) {
  spdlog::warn("{} answers could not wait any longer for connections of a former holder: its visitors are refused a little longer", count);
  std::vector<Answer> late;
  const auto end = held_.begin() + static_cast<std::ptrdiff_t>(count);
  std::for_each(held_.begin(), end, [&](Held& held) { late.push_back(std::move(held.answer)); });
  held_.erase(held_.begin(), end);
  for (const auto& answer : late) answer();
}

void HeldAnswers::expect_next() {
  timer_ = loop_.after(std::max(held_.front().until - clock_.now(), Duration::zero()), [this] {
    timer_.cancel();
    const auto now = clock_.now();
    const auto first_in_time = std::find_if(held_.begin(), held_.end(), [&](const Held& held) { return held.until > now; });
    if (const auto late = std::distance(held_.begin(), first_in_time); late > 0) give_up(static_cast<std::size_t>(late));
    if (!held_.empty() && !timer_.active()) expect_next();
  });
}

}  // namespace drpf::daemon
