// What a lab needs of this machine: programs, /dev/net/tun, namespaces. Says what is missing and how to get it; installs nothing.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/result.h"

namespace drpf::lab {

struct Missing {
  std::string what;
  std::string cure;
};

struct Requirement {
  const char* program;
  const char* package;  // of Debian and Ubuntu
};

// Programs and /dev/net/tun. Namespaces show when they are made: see explain_refused_namespaces(). `command` as in "drpf demo".
std::vector<Missing> find_missing(std::span<const Requirement> programs, const std::string& command);

// Why namespaces were refused on this machine, and what helps; `error_number` is errno of the attempt.
Missing explain_refused_namespaces(int error_number, bool user_namespace, const std::string& command);
// The same where namespaces were made, but give no rights inside (`attempt` is what then failed).
Missing explain_powerless_namespaces(const Error& attempt, bool user_namespace, const std::string& command);

}  // namespace drpf::lab
