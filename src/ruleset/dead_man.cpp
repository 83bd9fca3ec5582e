#include "ruleset/dead_man.h"

#include <algorithm>

#include "firewall/gateway_ruleset.h"
#include "system/sysctl.h"

namespace drpf::ruleset {
namespace {

constexpr system::RoutingRule::Mark unseen{0, firewall::seen_mark};

std::string slashed(std::string interface) {
  std::replace(interface.begin(), interface.end(), '.', '/');  // as sysctl(8) writes names with dots
  return interface;
}

}  // namespace

std::vector<system::RoutingRule> DeadMan::rules() const {
  std::vector<system::RoutingRule> out;
  for (const auto& prefix : {tunnel_v4_, tunnel_v6_}) {
    if (!prefix) continue;
    system::RoutingRule rule;
    rule.family = prefix->family();
    // What this host itself sends to devices is never marked in prerouting, so it is let past the two rules that follow.
    rule.priority = priority;
    rule.to = prefix;
    rule.incoming_interface = "lo";
    out.push_back(rule);
    rule.priority = priority + 1;
    rule.incoming_interface.reset();
    rule.mark = unseen;
    rule.action = system::RuleAction::unreachable;
    out.push_back(rule);
    rule.priority = priority + 2;
    rule.to.reset();
    for (const auto& interface : tunnel_interfaces_) {
      rule.incoming_interface = interface;
      out.push_back(rule);
    }
  }
  return out;
}

Result<std::size_t> DeadMan::install() const {
  auto routing = system::LinksAndRoutes::open();
  if (!routing) return fail(routing.error());
  // The kernel's reverse path check looks routes up too, without the mark unless it is told to take it along.
  if (auto set = system::write_sysctl("net.ipv4.conf.all.src_valid_mark", "1"); !set) return fail(set.error());
  std::size_t missing = 0;
  for (const auto family : {Family::v4, Family::v6}) {
    const auto present = routing->rules(family);
    if (!present) return fail(present.error());
    for (const auto& rule : rules()) {
      if (rule.family != family || std::find(present->begin(), present->end(), rule) != present->end()) continue;
      if (auto added = routing->add_rule(rule); !added) return fail(added.error());
      ++missing;
    }
  }
  return missing;
}

Status DeadMan::remove() const {
  auto routing = system::LinksAndRoutes::open();
  if (!routing) return fail(routing.error());
  for (const auto& rule : rules())
    if (auto removed = routing->remove_rule(rule); !removed) return removed;
  return {};
}

Status DeadMan::remove_others() const {
  const auto own = rules();
  auto routing = system::LinksAndRoutes::open();
  if (!routing) return fail(routing.error());
  for (const auto family : {Family::v4, Family::v6}) {
    const auto present = routing->rules(family);
    if (!present) return fail(present.error());
    const auto refuses = [](const system::RoutingRule& rule) {
      return (rule.priority == priority + 1 || rule.priority == priority + 2) && rule.mark == unseen &&
             rule.action == system::RuleAction::unreachable;
    };
    // Without its companion it may be anybody's.
    const auto passes_own = [&](const system::RoutingRule& rule) {
      return rule.priority == priority && rule.incoming_interface == "lo" && rule.to && !rule.mark &&
             std::any_of(present->begin(), present->end(), [&](const auto& other) { return refuses(other) && other.to == rule.to; });
    };
    for (const auto& rule : *present) {
      if ((!refuses(rule) && !passes_own(rule)) || std::find(own.begin(), own.end(), rule) != own.end()) continue;
      if (auto removed = routing->remove_rule(rule); !removed) return removed;
    }
  }
  return {};
}

Status enable_forwarding(const std::vector<std::string>& public_interfaces, bool ipv6) {
  if (auto set = system::write_sysctl("net.ipv4.ip_forward", "1"); !set) return set;
  if (!ipv6) return {};
  for (const auto& interface : public_interfaces) {
    const auto name = "net.ipv6.conf." + slashed(interface) + ".accept_ra";
    if (const auto value = system::read_sysctl(name); value && *value == "1")
      if (auto set = system::write_sysctl(name, "2"); !set) return set;  // 2: also while forwarding
  }
  return system::write_sysctl("net.ipv6.conf.all.forwarding", "1");
}

}  // namespace drpf::ruleset
