#include "client/connect/kernel_steps.h"

#include <sstream>

namespace drpf::client {
namespace {

constexpr std::string_view restored_setting = "net.ipv4.conf.all.src_valid_mark";
constexpr std::uint32_t default_metric_v6 = 1024;  // what the kernel gives a route without one

}  // namespace

system::RoutingRule kernel_rule(const PlannedRule& rule) {
  system::RoutingRule out;
  out.family = rule.family;
  out.priority = rule.priority;
  out.table = rule.table;
  out.from = rule.from;
  out.to = rule.to;
  out.inverted = rule.not_mark;
  if (rule.mark) out.mark = system::RoutingRule::Mark{*rule.mark, 0xffffffff};
  if (rule.suppress_default) out.suppress_prefix_length = 0;
  return out;
}

PlannedRule planned_rule(const system::RoutingRule& rule) {
  PlannedRule out;
  out.family = rule.family;
  out.priority = rule.priority;
  out.table = rule.table;
  out.suppress_default = rule.suppress_prefix_length == 0u;
  return out;
}

system::Route kernel_route(const PlannedRoute& planned, const std::string& interface) {
  system::Route route;
  route.destination = planned.to;
  route.table = planned.table;
  if (planned.last_resort) {
    route.type = system::RouteType::unreachable;
    route.metric = last_resort_metric;
    return route;
  }
  route.interface = interface;
  route.gateway = planned.gateway;
  route.on_link = planned.gateway.has_value();
  return route;
}

bool is_as_put(const system::Route& shown, const system::Route& put) {
  const auto metric = put.metric == 0 && put.destination.family() == Family::v6 ? default_metric_v6 : put.metric;
  if (shown.destination != put.destination || shown.table != put.table || shown.type != put.type || shown.metric != metric) return false;
  // IPv6 shows an unreachable route at the loopback interface.
  return put.type != system::RouteType::unicast || (shown.interface == put.interface && shown.gateway == put.gateway);
}

std::vector<std::pair<std::string, std::string>> former_settings(std::string_view note) {
  std::vector<std::pair<std::string, std::string>> former;
  std::istringstream words{std::string(note)};
  std::string name;
  std::string value;
  while (words >> name >> value)
    if (name == restored_setting && (value == "0" || value == "1")) former.emplace_back(name, value);
  return former;
}

}  // namespace drpf::client
