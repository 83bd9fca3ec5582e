// The registry of port names with this machine's own over it: /etc/services, and a file that the user names.
#pragma once

#include <string>

#include "core/result.h"
#include "registry/port_registry.h"

namespace drpf::guard {

// Without /etc/services, or where it cannot be read, the built-in names are all there is. `services_file` may be empty; one that cannot be
// read, or in which nothing can be understood, is an error.
Result<registry::PortRegistry> port_names(const std::string& services_file = {});

// "did you mean pop3 or pop3s?", or nothing.
std::string guesses_for(const registry::PortRegistry& names, std::string_view name);

}  // namespace drpf::guard
