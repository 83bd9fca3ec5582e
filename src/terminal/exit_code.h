// What the program ends with; docs/exit-codes.md explains each to those who script against it.
#pragma once

#include "core/result.h"

namespace drpf::terminal {

enum ExitCode : int {
  exit_ok = 0,
  exit_refused = 1,         // refused or failed
  exit_undecided = 3,       // a scan ended, and of some ports nothing may be said
  exit_usage = 64,          // the command line is wrong
  exit_unavailable = 69,    // the gateway does not answer, or this machine lacks something
  exit_no_permission = 77,  // not allowed
  exit_configuration = 78,  // the configuration is wrong
  exit_interrupted = 130,   // Ctrl-C
};

ExitCode exit_code_of(const Error& error);
// Says on standard error what went wrong and what helps; returns the code to end with.
ExitCode report(const Error& error);

}  // namespace drpf::terminal
