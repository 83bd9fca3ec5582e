// Carries a scan out: sends what scan/ says and hands it the answers. The only room of the scanner with sockets; whom one may scan
// is decided before (scan/ask/scope.h), what is printed after.
#pragma once

#include <functional>

#include "core/result.h"
#include "probe/scan_observer.h"
#include "scan/request.h"

namespace drpf::probe {

// Runs until everything is decided or `stop` is true (asked at least every 50 ms); then the rest is undecided and the tally marked
// as interrupted. Fails only when nothing could be asked at all: no capability, no route, no such interface.
Result<scan::Tally> run_scan(const scan::Request& request, ScanObserver& observer, const std::function<bool()>& stop);

// Whether this process may open raw sockets (CAP_NET_RAW).
bool raw_sockets_allowed();

}  // namespace drpf::probe
