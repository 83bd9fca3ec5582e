// What had to be repaired, how often, and whom it may have been. Decides what is worth a line of the log and when it is an alarm; pure.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/service.h"
#include "core/time.h"

namespace drpf::repair {

class RepairRecord {
 public:
  static constexpr std::size_t repairs_per_minute_max = 3;  // more is an alarm
  static constexpr Duration alarm_window = std::chrono::seconds(60);
  static constexpr Duration log_interval = std::chrono::seconds(5);  // between two lines about one kind of repair
  static constexpr std::size_t culprit_max = 200;

  // One round of repair of one kind ("the table inet drpf"). Returns the line for the log, none if it was said a moment ago.
  std::optional<std::string> note(const std::string& what, const std::string& culprit, Time now);
  // For `drpf status`.
  api::RepairReport report(Time now) const;

 private:
  struct Kind {
    std::uint64_t count = 0;
    std::uint64_t unsaid = 0;
    std::optional<Time> said;
  };
  std::map<std::string, Kind> kinds_;
  std::deque<Time> recent_;  // at most one more than is an alarm
  std::optional<Time> last_;
  std::string last_what_;
  std::string last_culprit_;
};

}  // namespace drpf::repair
