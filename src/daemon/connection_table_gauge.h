// Watches how full the kernel's connection table is: raised at a share of it, lowered again when it is well below. Reads nothing itself.
#pragma once

#include <cstdint>

namespace drpf::daemon {

class ConnectionTableGauge {
 public:
  static constexpr std::uint64_t lowered_below_percent = 90;  // of where it is raised

  enum class Change : std::uint8_t { none, raised, lowered };

  Change look(std::uint64_t entries, std::uint64_t entries_max, std::uint32_t alarm_percent) {
    const auto raised_at = entries_max * alarm_percent / 100;
    if (!raised_ && entries_max > 0 && entries >= raised_at) {
      raised_ = true;
      return Change::raised;
    }
    if (raised_ && entries < raised_at * lowered_below_percent / 100) {
      raised_ = false;
      return Change::lowered;
    }
    return Change::none;
  }
  bool raised() const { return raised_; }

 private:
  bool raised_ = false;
};

}  // namespace drpf::daemon
