// The gateway's rule set as its setup asks for it.
#pragma once

#include "configuration/setup.h"
#include "firewall/gateway_ruleset.h"

namespace drpf::daemon {

firewall::GatewayRuleset ruleset_for(const configuration::Setup& setup);

}  // namespace drpf::daemon
