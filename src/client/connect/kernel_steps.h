// The parts of a RoutePlan in the kernel's words, and what a note of former settings says. Pure; see routing.h for who carries them out.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/connect/route_plan.h"
#include "system/links_and_routes.h"

namespace drpf::client {

system::RoutingRule kernel_rule(const PlannedRule& rule);
// As far as is_own_rule() looks at it.
PlannedRule planned_rule(const system::RoutingRule& rule);
system::Route kernel_route(const PlannedRoute& route, const std::string& interface);
// Whether what the kernel shows is what was put there.
bool is_as_put(const system::Route& shown, const system::Route& put);
inline constexpr std::uint32_t last_resort_metric = 4'000'000'000;  // behind every route that anybody sets

// Kernel parameters and their former values, in lines of "name value". Only what make_route_plan() asks to be put back: the note is not a
// way to write anywhere else.
std::vector<std::pair<std::string, std::string>> former_settings(std::string_view note);

}  // namespace drpf::client
