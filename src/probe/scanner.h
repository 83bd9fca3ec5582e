// Carries a scan out: sends what scan/ says and hands it the answers. The only room of the scanner with sockets; whom one may scan
// is decided before (scan/ask/scope.h), what is printed after.
#pragma once

#include <cstddef>
#include <functional>

#include "core/result.h"
#include "scan/request.h"

namespace drpf::probe {

class ScanObserver {
 public:
  virtual ~ScanObserver() = default;
  // Once for each (target, number); with State::undecided at the end for those that nothing may be said about.
  virtual void on_verdict(std::size_t target, std::size_t number, const scan::Verdict& verdict) = 0;
  // About five times a second.
  virtual void on_progress(const scan::Tally& tally) = 0;
  // All sockets are open: from here on CAP_NET_RAW is not needed, and who scans nothing else gives it up.
  virtual void on_sockets_open() {}
};

// Runs until everything is decided or `stop` is true (asked at least every 50 ms); then the rest is undecided and the tally marked
// as interrupted. Fails only when nothing could be asked at all: no capability, no route, no such interface.
Result<scan::Tally> run_scan(const scan::Request& request, ScanObserver& observer, const std::function<bool()>& stop);

// Whether this process may open raw sockets (CAP_NET_RAW).
bool raw_sockets_allowed();

}  // namespace drpf::probe
