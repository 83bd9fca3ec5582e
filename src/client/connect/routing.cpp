#include "client/connect/routing.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "client/connect/kernel_steps.h"
#include "ruleset/keeper.h"
#include "system/links_and_routes.h"
#include "system/sysctl.h"
#include "system/whole_file.h"

namespace drpf::client {
namespace {

ruleset::Keeper::Options keeping() {
  ruleset::Keeper::Options options;
  options.refused = "setting up the firewall table: nft said";
  options.brief = true;
  options.cure = "Does this kernel have nf_tables, and does this process have CAP_NET_ADMIN?";
  return options;
}

}  // namespace

bool has_ipv6() {
  const auto disabled = system::read_sysctl("net.ipv6.conf.all.disable_ipv6");
  return disabled && *disabled == "0";
}

Result<bool> Routing::clear() {
  const bool settings = restore_settings();
  const auto rules = clear_rules();
  if (!rules) return fail(rules.error());
  const auto firewall = ruleset::Keeper::clear(firewall_table_name(interface_));
  if (!firewall) return fail(firewall.error());
  return settings || *rules || *firewall;
}

Result<bool> Routing::clear_rules() {
  auto kernel = system::LinksAndRoutes::open();
  if (!kernel) return fail(kernel.error());
  bool found = false;
  for (const auto family : {Family::v4, Family::v6}) {
    const auto rules = kernel->rules(family);
    if (!rules && family == Family::v6) break;  // no IPv6 here
    if (!rules) return fail(rules.error());
    for (const auto& rule : *rules) {
      if (!is_own_rule(interface_, planned_rule(rule))) continue;
      found = true;
      if (const auto status = kernel->remove_rule(rule); !status) return fail(status.error());
    }
  }
  return found;
}

bool Routing::restore_settings() {
  auto former = std::exchange(former_, {});
  if (std::ifstream note(note_path_); note) {
    const std::string text(std::istreambuf_iterator<char>(note), {});
    for (auto& setting : former_settings(text)) former.push_back(std::move(setting));
    ::unlink(note_path_.c_str());
  }
  for (const auto& [name, value] : former) (void)system::write_sysctl(name, value);
  return !former.empty();
}

Status Routing::set(const PlannedSetting& setting) {
  const auto before = system::read_sysctl(setting.name);
  if (!before || *before == setting.value) return {};  // a kernel without it has nothing that needs it
  if (setting.restore && !system::replace_file(note_path_, fmt::format("{} {}\n", setting.name, *before)))
    former_.emplace_back(setting.name, *before);
  return system::write_sysctl(setting.name, setting.value);
}

Status Routing::apply_steps(const RoutePlan& plan) {
  auto kernel = system::LinksAndRoutes::open();
  if (!kernel) return fail(kernel.error());
  auto firewall = ruleset::Keeper::open(firewall_table_name(interface_), keeping());
  if (!firewall) return fail(firewall.error());
  if (auto status = firewall->put({plan.firewall}); !status) return status;
  for (const auto& setting : plan.settings) {
    if (auto status = set(setting); !status) return status;
  }
  for (const auto& address : plan.addresses) {
    if (auto status = kernel->add_address(plan.interface, address.address, address.length); !status) return status;
  }
  system::LinkChange change;
  change.mtu = plan.mtu;
  change.up = true;
  if (auto status = kernel->change_link(plan.interface, change); !status) return status;
  for (const auto& planned : plan.routes) {
    const auto route = kernel_route(planned, plan.interface);
    if (route.on_link) {
      if (const auto added = kernel->ensure_route(route); !added) return fail(added.error());
    } else if (const auto status = kernel->put_route(route); !status) {
      return status;
    }
  }
  for (const auto& rule : plan.rules) {
    if (auto status = kernel->add_rule(kernel_rule(rule)); !status) return status;
  }
  return {};
}

Status Routing::apply(const RoutePlan& plan) {
  const auto status = apply_steps(plan);
  if (!status) (void)clear();
  return status;
}

}  // namespace drpf::client
