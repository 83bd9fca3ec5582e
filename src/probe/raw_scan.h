// The raw engine: carries scan::Schedule out with packet sockets. Every kind but connect and idle.
#pragma once

#include <functional>

#include "core/result.h"
#include "core/time.h"
#include "probe/scan_observer.h"

namespace drpf::probe {

Result<scan::Tally> run_raw_scan(const scan::Request& request, ScanObserver& observer, const std::function<bool()>& stop);

// The first of SourcePorts::count ports that the kernel gives to nobody's sockets; the gateway's own port plan lies below it.
std::uint16_t choose_source_ports(Time now);

}  // namespace drpf::probe
