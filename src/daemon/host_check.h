// Looks at the live host for what would defeat the gateway: foreign firewall rules, listeners in our port ranges, sysctls, missing
// kernel features. It reads and judges; it changes nothing.
#pragma once

#include <vector>

#include "api/service.h"
#include "configuration/configuration.h"
#include "configuration/policy.h"

namespace drpf::daemon {

// Worst first. `running` = our own gateway serves in this network namespace, so its table and sysctls must be there too.
std::vector<api::Finding> check_host(const configuration::Configuration& configuration, const std::vector<configuration::FoundHost>& hosts,
                                     bool running);

}  // namespace drpf::daemon
