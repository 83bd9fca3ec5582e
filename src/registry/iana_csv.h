// IANA's registry of service names in its own form, service-names-port-numbers.csv: newer than what is built in. Reads text, opens no file.
#pragma once

#include <string_view>

#include "registry/services_file.h"

namespace drpf::registry {

// By its first line.
bool is_iana_csv(std::string_view text);
// Rows without a port, a protocol with ports or a name are no services and no problems; most of the unassigned ones are such.
ServicesFile parse_iana_csv(std::string_view text);

}  // namespace drpf::registry
