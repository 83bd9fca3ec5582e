// What the demo needs of this machine: programs, /dev/net/tun, namespaces. Says what is missing and how to get it; installs nothing.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"

namespace drpf::cli::demo {

struct Missing {
  std::string what;
  std::string cure;
};

// Programs and /dev/net/tun. Namespaces show when they are made: see namespace_cure().
std::vector<Missing> find_missing();

// Why namespaces were refused on this machine, and what helps; `error_number` is errno of the attempt.
Missing explain_refused_namespaces(int error_number, bool user_namespace);
// The same where namespaces were made, but give no rights inside (`attempt` is what then failed).
Missing explain_powerless_namespaces(const Error& attempt, bool user_namespace);

}  // namespace drpf::cli::demo
