#include "store/deadlines.h"

#include <algorithm>

namespace drpf::store {

std::optional<Conversion> conversion(const ClockReading& kept, const ClockReading& now) {
  if (!kept.boot_id.empty() && kept.boot_id == now.boot_id) return std::nullopt;
  const auto between_boots = now.boot.time_since_epoch() - kept.boot.time_since_epoch();
  if (now.wall < kept.wall) return Conversion{between_boots, false};
  return Conversion{between_boots - (now.wall - kept.wall), true};
}

Time convert_deadline(Time deadline, const Conversion& by, const ClockReading& now) {
  const auto past = now.boot - Duration(1);
  return by.time_passed_known ? std::max(deadline + by.shift, past) : past;
}

Time convert_rest(Time until, const Conversion& by, const ClockReading& now) { return std::max(until + by.shift, now.boot - Duration(1)); }

Time convert_epoch(Time started, const Conversion& by, const ClockReading& now) {
  return by.time_passed_known ? started + by.shift : now.boot;
}

}  // namespace drpf::store
