// How deadlines of one boot become deadlines of another. Pure arithmetic on clock readings.
#pragma once

#include <optional>

#include "core/time.h"
#include "store/store.h"

namespace drpf::store {

// A deadline d of the kept boot is d + shift now, unless the time that passed is unknown.
struct Conversion {
  Duration shift{};
  bool time_passed_known = true;
};

// Same boot: none. Another boot (or an unknown one): by the wall clock, unless that went back.
std::optional<Conversion> conversion(const ClockReading& kept, const ClockReading& now);

// What is past stays just past: how long ago does not matter.
// For leases: what cannot be placed is past, so that nothing is open without reason.
Time convert_deadline(Time deadline, const Conversion& by, const ClockReading& now);
// For grace and quarantine: what cannot be placed begins again with the time that was left, so that no port is given away too early.
Time convert_rest(Time until, const Conversion& by, const ClockReading& now);
// For the time when mappings were last lost: where leases cannot be placed it is now.
Time convert_epoch(Time started, const Conversion& by, const ClockReading& now);

}  // namespace drpf::store
