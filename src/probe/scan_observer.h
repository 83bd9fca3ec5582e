// Who hears what a scan finds while it runs. An interface; sends nothing.
#pragma once

#include <cstddef>

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

}  // namespace drpf::probe
