#include "daemon/self_repair.h"

#include <spdlog/logger.h>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "system/boot_clock.h"
#include "system/sysctl.h"

namespace drpf::daemon {
namespace {

using Traces = repair::HostWatch::Traces;

std::string tunnel_warning(const Error& error) {
  return fmt::format("the tunnel's interface cannot be put right, and devices are cut off until it is: {}{}", error.message,
                     error.cure.empty() ? "" : "; " + error.cure);
}

}  // namespace

Result<std::unique_ptr<SelfRepair>> SelfRepair::start(Parts parts) {
  std::unique_ptr<SelfRepair> repair(new SelfRepair(std::move(parts)));
  auto* const self = repair.get();
  self->suspended_ = system::time_suspended();
  auto& redirect = self->parts_.redirect;
  auto watch = repair::HostWatch::start(
      {self->parts_.loop, self->parts_.clock, [self](auto occasion) { self->look(occasion); },
       [&redirect] { return redirect.names_of_others(); }, [log = self->parts_.log](const std::string& text) { log->warn("{}", text); },
       [log = self->parts_.log](const std::string& text) { log->error("{}", text); }, "the gateway", "`drpf status`"});
  if (!watch) return fail(watch.error());
  self->watch_ = std::move(*watch);
  return repair;
}

void SelfRepair::look(repair::HostWatch::Occasion occasion) {
  const system::DescriptorReserve::Use use(descriptors_);
  if (occasion.timer) look_after_sleep();
  if (occasion.network || (occasion.timer && ++rounds_ % rounds_per_host_look == 0)) hosts_due_ = true;
  look_at_rules();
  look_at_network();
  if (std::exchange(hosts_due_, false)) look_at_hosts();
}

// The kernel's timeouts stood still, deadlines did not: what has run out must go, at once and not when an event tells.
void SelfRepair::look_after_sleep() {
  const auto suspended = system::time_suspended();
  const auto slept = suspended - std::exchange(suspended_, suspended);
  if (slept <= suspension_min) return;
  parts_.log->info("this host slept for {} s; everything is looked at again",
                   std::chrono::duration_cast<std::chrono::seconds>(slept).count());
  parts_.gateway.tick();
  if (auto repaired = parts_.gateway.reconcile(); !repaired) complain("the leases in the kernel", repaired.error());
  hosts_due_ = true;
}

void SelfRepair::look_at_rules() {
  using Drift = redirect::NftRedirect::Drift;
  const auto drift = parts_.redirect.inspect();
  if (!drift) return complain("the table inet drpf", drift.error());
  if (parts_.redirect.take_routing_rules_repaired() > 0) watch_->note("the routing rules", Traces::network);
  if (*drift == Drift::none) return;
  if (*drift == Drift::structure) {
    // Of a book that is not known for sure nothing is opened; its leases follow when it has been read back.
    const auto leases = parts_.gateway.is_book_committed() ? parts_.gateway.book().redirections() : std::vector<lease::Redirection>{};
    const auto restored = parts_.redirect.restore(leases, parts_.clock.now());
    if (!restored) {
      watch_->look_soon();
      return complain("the table inet drpf, nothing is forwarded meanwhile", restored.error());
    }
    watch_->note("the table inet drpf", Traces::ruleset);
    forget_authors();
    return watch_->look_soon();  // it may have been changed again meanwhile
  }
  const auto repaired = parts_.gateway.reconcile();
  if (!repaired) {
    watch_->look_soon();
    return complain("the leases in the table inet drpf", repaired.error());
  }
  if (*drift == Drift::elements && *repaired > 0) watch_->note("the leases in the table inet drpf", Traces::ruleset);
}

void SelfRepair::look_at_network() {
  const auto tunnels = look_at_tunnels();
  parts_.gateway.set_condition("tunnel", tunnels ? std::nullopt : std::optional(tunnel_warning(tunnels.error())));
  if (!tunnels) return complain("the tunnel's interface", tunnels.error());
  const auto probe = parts_.doctor.repair_probe();
  if (!probe) return complain("the interface that leases are tested from", probe.error());
  if (*probe) watch_->note("the interface that leases are tested from", Traces::none);
  keep_parameter("net.ipv4.ip_forward", "1");
  const auto carries_v6 = [](const TunnelInterface& tunnel) { return tunnel.carries_v6(); };
  if (std::any_of(parts_.tunnels.begin(), parts_.tunnels.end(), carries_v6)) keep_parameter("net.ipv6.conf.all.forwarding", "1");
}

Status SelfRepair::look_at_tunnels() {
  for (auto& tunnel : parts_.tunnels) {
    const auto repaired = tunnel.repair(parts_.network);
    if (!repaired) return fail(repaired.error());
    if (repaired->made) {
      watch_->note("the tunnel's interface, which was gone", Traces::network);
      doors_due_ = DoorsDue{repaired->moved || (doors_due_ && doors_due_->moved)};
      continue;
    }
    if (repaired->link) watch_->note("the tunnel's interface, which was down", Traces::network);
    if (repaired->addresses > 0) watch_->note("the addresses of the tunnel's interface", Traces::network);
    if (repaired->routes > 0) watch_->note("the routes to the tunnel", Traces::network);
  }
  if (!doors_due_) return {};
  auto opened = parts_.reopen_tunnel_doors(doors_due_->moved);
  if (opened) doors_due_.reset();
  return opened;
}

// After the rules: nothing is forwarded before the routing rules stand.
void SelfRepair::keep_parameter(const std::string& name, const std::string& wanted) {
  const auto value = system::read_sysctl(name);
  if (!value) return complain(name, value.error());
  if (*value == wanted) return;
  if (auto written = system::write_sysctl(name, wanted); !written) return complain(name, written.error());
  watch_->note("the kernel parameter " + name, Traces::none);
}

void SelfRepair::look_at_hosts() {
  const auto followed = parts_.follow_hosts();
  if (!followed) {
    hosts_due_ = true;
    return complain("the public addresses, leases stay on the former ones", followed.error());
  }
  if (!*followed) return;
  watch_->note("the public addresses, leases have moved to the new ones", Traces::none);
  forget_authors();
  parts_.gateway.call_connected_devices();
}

}  // namespace drpf::daemon
