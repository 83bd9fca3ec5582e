// What the firewall does at present, as JSON and as a page for people: rules with their counters and the programs behind them, ports of
// containers, other programs' tables, and what was refused of late. Looks only.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "firewall/host/host_judge.h"
#include "guard/host/host_firewall.h"

namespace drpf::guard {

Result<boost::json::object> firewall_status(const HostFirewall& firewall);
std::string status_page(const boost::json::object& status);

// Sources and ports that were refused within the last hour, the most packets first.
Result<boost::json::array> refused_lately(const HostFirewall& firewall);
std::string refused_page(const boost::json::array& refused);

std::string rules_page(const firewall::HostRuleset& ruleset);

// One sentence for each connection that stands and that `next` would end, where `now` lets it be.
std::vector<std::string> connections_that_end(const firewall::HostRuleset& now, const firewall::HostRuleset& next,
                                              const std::vector<firewall::HostPacket>& open);

}  // namespace drpf::guard
