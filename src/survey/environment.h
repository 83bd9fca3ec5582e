// This machine as a scan's plan needs it: files, names, addresses, the registry of services.
#pragma once

#include <atomic>
#include <string>

#include "survey/plan.h"

namespace drpf::survey {

Environment environment_here();

// Ctrl-C, SIGTERM and SIGHUP as a question. The first one is kept from ending the process; the second ends it.
class StopSignals {
 public:
  StopSignals();
  bool asked() const;

 private:
  mutable std::atomic<bool> asked_{false};
};

}  // namespace drpf::survey
