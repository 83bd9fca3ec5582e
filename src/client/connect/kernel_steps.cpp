#include "client/connect/kernel_steps.h"

#include <sstream>

namespace drpf::client {
namespace {

constexpr std::string_view restored_setting = "net.ipv4.conf.all.src_valid_mark";

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
  route.interface = interface;
  route.table = planned.table;
  route.gateway = planned.gateway;
  route.on_link = planned.gateway.has_value();
  return route;
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
