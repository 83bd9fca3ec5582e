// The part of Connection that keeps this machine's network as the plan says.
#include <fmt/format.h>

#include "client/connect/connection.h"

namespace drpf::client {

Status Connection::close_first() {
  if (const auto applied = routing_.apply(plan_); !applied) return fail(applied.error());
  auto watch =
      repair::HostWatch::start({loop_, clock_, [this](auto occasion) { keep_network(occasion); },
                                [this] { return routing_.names_of_others(); }, [this](const std::string& text) { screen_.note(text); },
                                [this](const std::string& text) { screen_.note(text); }, "drpf connect", "the line before"});
  if (!watch) return fail(watch.error());
  host_watch_ = std::move(*watch);
  return {};
}

void Connection::keep_network(repair::HostWatch::Occasion occasion) {
  if (leaving_) return;
  using Traces = repair::HostWatch::Traces;
  const auto mended = routing_.apply(plan_);
  if (!mended) return host_watch_->complain(fmt::format("the network of {}", plan_.interface), mended.error());
  if (mended->firewall) host_watch_->note("the firewall's table", Traces::ruleset);
  if (mended->interface_made) host_watch_->note("the tunnel's interface, which was gone", Traces::network);
  for (const auto& what : mended->network)
    if (!mended->interface_made) host_watch_->note(what, Traces::network);
  if (mended->firewall || mended->interface_made || !mended->network.empty()) {
    host_watch_->forget_authors();
    host_watch_->look_soon();  // it may have been changed again meanwhile
  }
  if (mended->interface_moved && watch_) watch_->restart();  // its connection is bound to the former one
  if (tunnel_) keep_name_servers();
  if (share_) share_->tick();
  if (occasion.network) on_network_change();
}

void Connection::let_in(const std::vector<PublishedPort>& ports) {
  OpenPorts leased;
  for (const auto& port : ports) (port.protocol == Protocol::tcp ? leased.tcp : leased.udp).emplace_back(port.local_port);
  leased.tcp = joined(std::move(leased.tcp));
  leased.udp = joined(std::move(leased.udp));
  if (leased == plan_.leased) return;
  let_leases_in(plan_, std::move(leased));
  keep_network({});
  host_watch_->forget_authors();  // the next repair is not of our own making
  host_watch_->look_soon();
}

void Connection::keep_name_servers() {
  if (!name_servers_set_ || !name_servers_.are_lost()) return;
  if (const auto set = name_servers_.set(file_.dns, file_.dns_search, plan_.full_tunnel); !set)
    return host_watch_->complain("the name servers", set.error());
  host_watch_->note("the name servers", repair::HostWatch::Traces::none);
}

}  // namespace drpf::client
