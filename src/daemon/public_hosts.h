// Finds the public hosts of this machine: what the configuration leaves open is taken from the default routes.
#pragma once

#include <vector>

#include "core/result.h"
#include "configuration/configuration.h"
#include "configuration/policy.h"
#include "system/links_and_routes.h"

namespace drpf::gateway {

// At least one host with at least one address; or an error that says what to write into the configuration.
Result<std::vector<FoundHost>> find_public_hosts(const Configuration& configuration, system::LinksAndRoutes& network);

}  // namespace drpf::gateway
