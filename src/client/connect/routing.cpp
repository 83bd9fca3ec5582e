#include "client/connect/routing.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "client/connect/kernel_steps.h"
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

bool is_last_resort(const system::Route& route) {
  return route.type == system::RouteType::unreachable && route.metric == last_resort_metric;
}

std::vector<std::uint32_t> tables_of(const std::vector<system::Route>& routes, std::uint32_t own) {
  std::vector<std::uint32_t> tables;
  if (own != 0) tables.push_back(own);
  for (const auto& route : routes)
    if (std::find(tables.begin(), tables.end(), route.table) == tables.end()) tables.push_back(route.table);
  return tables;
}

}  // namespace

std::vector<Address> addresses_of_this_machine() {
  std::vector<Address> out;
  auto kernel = system::LinksAndRoutes::open();
  if (!kernel) return out;
  const auto present = kernel->addresses();
  if (!present) return out;
  for (const auto& one : *present) out.push_back(one.address);
  return out;
}

bool has_ipv6() {
  const auto disabled = system::read_sysctl("net.ipv6.conf.all.disable_ipv6");
  return disabled && *disabled == "0";
}

Result<bool> Routing::clear() {
  const bool settings = restore_settings();
  const auto network = clear_network();
  if (!network) return fail(network.error());
  firewall_.reset();
  const auto firewall = ruleset::Keeper::clear(firewall_table_name(interface_));
  if (!firewall) return fail(firewall.error());
  return settings || *network || *firewall;
}

Result<bool> Routing::clear_network() {
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
    for (const auto table : {own_table(interface_), main_table}) {
      const auto routes = kernel->routes(family, table);
      if (!routes) return fail(routes.error());
      for (const auto& route : *routes) {
        if (table == main_table && !is_last_resort(route)) continue;
        found = true;
        if (const auto status = kernel->remove_route(route); !status) return fail(status.error());
      }
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

Status Routing::interface_is_there(MakeAgain make_again) {
  if (!kernel_) return fail(failure("not_applied", "the network is not set up yet"));
  const auto link = kernel_->link(interface_);
  if (!link) return fail(link.error());
  index_ = link->index;
  make_again_ = std::move(make_again);
  return {};
}

Result<Routing::Mended> Routing::apply(const RoutePlan& plan) {
  if (!kernel_) {
    auto kernel = system::LinksAndRoutes::open();
    if (!kernel) return fail(kernel.error());
    kernel_.emplace(std::move(*kernel));
  }
  Mended mended;
  // Where the firewall cannot be had the routes hold by themselves; only an interface there is none without it.
  const auto firewall = keep_firewall(plan, mended);
  if (auto status = keep_settings(plan, mended); !status) return fail(status.error());
  if (auto status = keep_routes(plan, false, mended); !status) return fail(status.error());
  if (auto status = keep_rules(plan, mended); !status) return fail(status.error());
  if (!firewall) return fail(firewall.error());
  if (!make_again_) return mended;
  if (auto status = keep_interface(plan, mended); !status) return fail(status.error());
  if (auto status = keep_settings(plan, mended); !status) return fail(status.error());  // those of the interface
  if (auto status = keep_routes(plan, true, mended); !status) return fail(status.error());
  return mended;
}

// Whatever stood there before is replaced in one transaction.
Status Routing::keep_firewall(const RoutePlan& plan, Mended& mended) {
  if (!firewall_) {
    auto keeper = ruleset::Keeper::open(firewall_table_name(interface_), keeping());
    if (!keeper) return fail(keeper.error());
    firewall_.emplace(std::move(*keeper));
    mended.firewall = true;
  } else {
    const auto seen = firewall_->look();
    if (!seen) return fail(seen.error());
    mended.firewall = *seen == ruleset::Keeper::Seen::altered;
    if (!mended.firewall && firewall_text_ == plan.firewall) return {};
  }
  auto put = firewall_->put({plan.firewall});
  if (put) firewall_text_ = plan.firewall;
  if (!put && firewall_->as_put().empty()) firewall_.reset();  // never put: not to be taken for something that others changed
  return put;
}

Status Routing::keep_settings(const RoutePlan& plan, Mended& mended) {
  for (const auto& setting : plan.settings)
    if (auto status = set(setting, mended); !status) return status;
  return {};
}

Status Routing::set(const PlannedSetting& setting, Mended& mended) {
  const auto before = system::read_sysctl(setting.name);
  if (!before || *before == setting.value) return {};  // a kernel without it has nothing that needs it
  if (setting.restore && ::access(note_path_.c_str(), F_OK) != 0 && former_.empty() &&
      !system::replace_file(note_path_, fmt::format("{} {}\n", setting.name, *before)))
    former_.emplace_back(setting.name, *before);
  mended.network.push_back("the kernel parameter " + setting.name);
  return system::write_sysctl(setting.name, setting.value);
}

Status Routing::keep_rules(const RoutePlan& plan, Mended& mended) {
  bool any = false;
  for (const auto family : {Family::v4, Family::v6}) {
    const auto present = kernel_->rules(family);
    if (!present && family == Family::v6) break;  // no IPv6 here
    if (!present) return fail(present.error());
    std::vector<system::RoutingRule> wanted;
    for (const auto& rule : plan.rules)
      if (rule.family == family) wanted.push_back(kernel_rule(rule));
    const auto is_in = [](const auto& rules, const auto& rule) { return std::find(rules.begin(), rules.end(), rule) != rules.end(); };
    for (const auto& rule : wanted) {
      if (is_in(*present, rule)) continue;
      any = true;
      if (auto added = kernel_->add_rule(rule); !added) return added;
    }
    for (const auto& rule : *present) {
      if (!is_own_rule(interface_, planned_rule(rule)) || is_in(wanted, rule)) continue;
      any = true;
      if (auto removed = kernel_->remove_rule(rule); !removed) return removed;
    }
  }
  if (any) mended.network.emplace_back("the routing rules");
  return {};
}

// Without an interface only those of last resort. In our own table there is nothing but what is planned.
Status Routing::keep_routes(const RoutePlan& plan, bool with_interface, Mended& mended) {
  bool any = false;
  for (const auto family : {Family::v4, Family::v6}) {
    std::vector<system::Route> wanted;
    for (const auto& planned : plan.routes)
      if (planned.to.family() == family && (planned.last_resort || with_interface)) wanted.push_back(kernel_route(planned, interface_));
    std::vector<system::Route> present;
    for (const auto table : tables_of(wanted, plan.table)) {
      auto routes = kernel_->routes(family, table);
      if (!routes && family == Family::v6) return {};  // no IPv6 here
      if (!routes) return fail(routes.error());
      present.insert(present.end(), routes->begin(), routes->end());
    }
    for (const auto& route : wanted) {
      if (std::any_of(present.begin(), present.end(), [&](const auto& shown) { return is_as_put(shown, route); })) continue;
      if (route.on_link) {  // somebody's route of that destination is left alone
        const auto added = kernel_->ensure_route(route);
        if (!added) return fail(added.error());
        any = any || *added;
        continue;
      }
      any = true;
      if (auto put = kernel_->put_route(route); !put) return put;
    }
    if (plan.table == 0 || !with_interface) continue;
    for (const auto& shown : present) {
      if (shown.table != plan.table ||
          std::any_of(wanted.begin(), wanted.end(), [&](const auto& route) { return is_as_put(shown, route); }))
        continue;
      any = true;
      if (auto removed = kernel_->remove_route(shown); !removed) return removed;
    }
  }
  if (any) mended.network.emplace_back("the routes");
  return {};
}

Status Routing::keep_interface(const RoutePlan& plan, Mended& mended) {
  auto link = kernel_->link(interface_);
  if (!link && link.error().kind != Error::Kind::not_found) return fail(link.error());
  if (!link || link->index != index_) {  // deleted, renamed, or set into another network
    if (auto made = make_again_(index_); !made) return made;
    link = kernel_->link(interface_);
    if (!link) return fail(link.error());
    mended.interface_made = true;
    mended.interface_moved = link->index != std::exchange(index_, link->index);
  }
  const auto present = kernel_->addresses_of(interface_);
  if (!present) return fail(present.error());
  bool any = false;
  for (const auto& own : plan.addresses) {
    if (std::any_of(present->begin(), present->end(), [&](const auto& shown) { return shown.address == own.address; })) continue;
    any = true;
    if (auto added = kernel_->add_address(interface_, own.address, own.length); !added) return added;
  }
  if (any) mended.network.emplace_back("the addresses of the tunnel's interface");
  if (link->up && link->mtu == plan.mtu) return {};
  system::LinkChange change;
  change.mtu = plan.mtu;
  change.up = true;
  mended.network.emplace_back(link->up ? "the MTU of the tunnel's interface" : "the tunnel's interface, which was down");
  return kernel_->change_link(interface_, change);
}

Result<std::vector<std::string>> Routing::names_of_others() {
  if (!firewall_) return std::vector<std::string>{};
  return firewall_->table().names_of_others();
}

}  // namespace drpf::client
