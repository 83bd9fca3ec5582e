// The connect scan: no privileges, and as exact as the SYN scan, because ICMP errors are read from each socket's error queue. Whom one
// may scan is decided before (scan/ask/scope.h).
#pragma once

#include <functional>

#include "core/result.h"
#include "probe/scan_observer.h"

namespace drpf::probe {

// As run_scan(), for Kind::connect. Raises the soft limit of file descriptors of this process to the hard one.
Result<scan::Tally> run_connect_scan(const scan::Request& request, ScanObserver& observer, const std::function<bool()>& stop);

}  // namespace drpf::probe
