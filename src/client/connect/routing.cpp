#include "client/connect/routing.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "client/connect/lent_rights.h"
#include "client/ports/ports_file.h"
#include "system/links_and_routes.h"
#include "system/process.h"
#include "system/sysctl.h"

namespace drpf::client {
namespace {

constexpr std::chrono::seconds nft_time_max{10};
constexpr std::string_view restored_setting = "net.ipv4.conf.all.src_valid_mark";

Status run_nft(const std::string& text, std::string_view doing) {
  system::Command command;
  command.arguments = {"nft", "-f", "-"};
  command.input = text;
  command.prepare = lend_network;
  const auto output = system::run(command, nft_time_max);
  if (!output) {
    auto error = output.error();
    error.code = "nft_missing";
    if (error.cure.empty()) error.cure = "Install nftables: apt install nftables";
    return fail(error);
  }
  if (output->exit_code != 0) {
    return fail(failure("nft_failed", fmt::format("{}: nft said: {}", doing, output->err.substr(0, output->err.find('\n'))),
                        "Does this kernel have nf_tables, and does this process have CAP_NET_ADMIN?"));
  }
  return {};
}

system::RoutingRule to_routing_rule(const PlannedRule& rule) {
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

PlannedRule to_planned_rule(const system::RoutingRule& rule) {
  PlannedRule out;
  out.family = rule.family;
  out.priority = rule.priority;
  out.table = rule.table;
  out.suppress_default = rule.suppress_prefix_length == 0u;
  return out;
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
  const auto firewall = clear_firewall();
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
      if (!is_own_rule(interface_, to_planned_rule(rule))) continue;
      found = true;
      if (const auto status = kernel->remove_rule(rule); !status) return fail(status.error());
    }
  }
  return found;
}

Result<bool> Routing::clear_firewall() {
  const auto table = firewall_table_name(interface_);
  system::Command list;
  list.arguments = {"nft", "list", "table", "inet", table};
  list.prepare = lend_network;
  const auto present = system::run(list, nft_time_max);
  if (!present || present->exit_code != 0) return false;
  // "table" before "delete table": no error when somebody else was faster.
  if (const auto status = run_nft(fmt::format("table inet {0}\ndelete table inet {0}\n", table), "removing our firewall table"); !status) {
    return fail(status.error());
  }
  return true;
}

bool Routing::restore_settings() {
  auto former = std::exchange(former_, {});
  if (std::ifstream note(note_path_); note) {
    std::string name;
    std::string value;
    // Only what make_route_plan() asks to be put back: the file is not a way to write anywhere else.
    while (note >> name >> value) {
      if (name == restored_setting && (value == "0" || value == "1")) former.emplace_back(name, value);
    }
    ::unlink(note_path_.c_str());
  }
  for (const auto& [name, value] : former) (void)system::write_sysctl(name, value);
  return !former.empty();
}

Status Routing::set(const PlannedSetting& setting) {
  const auto before = system::read_sysctl(setting.name);
  if (!before || *before == setting.value) return {};  // a kernel without it has nothing that needs it
  if (setting.restore && !replace_file(note_path_, fmt::format("{} {}\n", setting.name, *before)))
    former_.emplace_back(setting.name, *before);
  return system::write_sysctl(setting.name, setting.value);
}

Status Routing::apply_steps(const RoutePlan& plan) {
  auto kernel = system::LinksAndRoutes::open();
  if (!kernel) return fail(kernel.error());
  if (auto status = run_nft(plan.firewall, "setting up the firewall table"); !status) return status;
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
    system::Route route;
    route.destination = planned.to;
    route.interface = plan.interface;
    route.table = planned.table;
    route.gateway = planned.gateway;
    route.on_link = planned.gateway.has_value();
    if (route.on_link) {
      if (const auto added = kernel->ensure_route(route); !added) return fail(added.error());
    } else if (const auto status = kernel->put_route(route); !status) {
      return status;
    }
  }
  for (const auto& rule : plan.rules) {
    if (auto status = kernel->add_rule(to_routing_rule(rule)); !status) return status;
  }
  return {};
}

Status Routing::apply(const RoutePlan& plan) {
  const auto status = apply_steps(plan);
  if (!status) (void)clear();
  return status;
}

}  // namespace drpf::client
