#include "repair/repair_record.h"

#include <fmt/format.h>

namespace drpf::repair {

std::optional<std::string> RepairRecord::note(const std::string& what, const std::string& culprit, Time now) {
  auto& kind = kinds_[what];
  ++kind.count;
  recent_.push_back(now);
  if (recent_.size() > repairs_per_minute_max + 1) recent_.pop_front();
  last_ = now;
  last_what_ = what;
  last_culprit_ = culprit.substr(0, culprit_max);
  if (kind.said && now - *kind.said < log_interval) {
    ++kind.unsaid;
    return std::nullopt;
  }
  kind.said = now;
  auto line = fmt::format("repaired: {}{}{}", what, last_culprit_.empty() ? "" : "; changed by ", last_culprit_);
  if (kind.unsaid > 0) line += fmt::format(" (and {} times more since this was last said)", std::exchange(kind.unsaid, 0));
  return line;
}

api::RepairReport RepairRecord::report(Time now) const {
  api::RepairReport report;
  for (const auto& [what, kind] : kinds_) report.counts.emplace_back(what, kind.count);
  if (last_) {
    report.last = last_what_;
    report.last_culprit = last_culprit_;
    report.last_s_ago = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now - *last_).count());
  }
  report.alarm = recent_.size() > repairs_per_minute_max && now - recent_.front() < alarm_window;
  return report;
}

}  // namespace drpf::repair
