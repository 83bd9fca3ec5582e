// The idle scan: probes leave in the name of a third host, the zombie, whose IP identification then tells which ports answered. Only for
// hosts of one's own: whether target and zombie are is decided before (scan/ask/scope.h). IPv4 only.
#pragma once

#include <functional>

#include "core/result.h"
#include "probe/scan_observer.h"

namespace drpf::probe {

// As run_scan(), for Kind::idle. Fails "zombie_unsuitable" where the zombie's identification does not count up one by one.
Result<scan::Tally> run_idle_scan(const scan::Request& request, ScanObserver& observer, const std::function<bool()>& stop);

}  // namespace drpf::probe
