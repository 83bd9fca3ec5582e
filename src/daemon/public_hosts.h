// Finds the public hosts of this machine: what the configuration leaves open is taken from the default routes.
#pragma once

#include <vector>

#include "configuration/configuration.h"
#include "configuration/policy.h"
#include "core/result.h"
#include "system/links_and_routes.h"

namespace drpf::daemon {

// At least one host with at least one address; or an error that says what to write into the configuration.
Result<std::vector<configuration::FoundHost>> find_public_hosts(const configuration::Configuration& configuration,
                                                                system::LinksAndRoutes& network);

}  // namespace drpf::daemon
