#include "daemon/self_repair.h"

#include <spdlog/logger.h>

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "firewall/foreign_rules.h"
#include "system/boot_clock.h"
#include "system/sysctl.h"

namespace drpf::daemon {
namespace {

std::string own_program_name() {
  std::ifstream file("/proc/self/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

std::string tunnel_warning(const Error& error) {
  return fmt::format("the tunnel's interface cannot be put right, and devices are cut off until it is: {}{}", error.message,
                     error.cure.empty() ? "" : "; " + error.cure);
}

}  // namespace

Result<std::unique_ptr<SelfRepair>> SelfRepair::start(Parts parts) {
  auto events = system::KernelEvents::open();
  if (!events) return fail(events.error());
  std::unique_ptr<SelfRepair> repair(new SelfRepair(std::move(parts), std::move(*events)));
  auto* const self = repair.get();
  auto& loop = self->parts_.loop;
  self->suspended_ = system::time_suspended();
  self->ruleset_watch_ = loop.watch_readable(self->events_.ruleset_fd(), [self] { self->on_events(); });
  self->network_watch_ = loop.watch_readable(self->events_.network_fd(), [self] { self->on_events(); });
  self->timer_ = loop.every(interval, [self] { self->on_timer(); });
  // What happened between the start of the parts and the first event that can be heard.
  self->hosts_due_ = true;
  self->look_soon();
  return repair;
}

SelfRepair::~SelfRepair() = default;

void SelfRepair::forget_author() {
  on_events();
  author_.reset();
}

void SelfRepair::on_events() {
  static const auto own_name = own_program_name();
  const auto change = events_.drain();
  for (const auto& author : change.authors) {
    if (author.program == own_name) continue;
    author_ = author;
    author_heard_ = parts_.clock.now();
  }
  if (change.network || change.lost) hosts_due_ = true;
  if (change.network || change.lost || change.ruleset) look_soon();
}

void SelfRepair::on_timer() {
  const auto suspended = system::time_suspended();
  if (suspended - suspended_ > suspension_min) {
    // The kernel's timeouts stood still, deadlines did not: what has run out must go, at once and not when an event tells.
    parts_.log->info("this host slept for {} s; everything is looked at again",
                     std::chrono::duration_cast<std::chrono::seconds>(suspended - suspended_).count());
    parts_.gateway.tick();
    if (auto repaired = parts_.gateway.reconcile(); !repaired) complain("the leases in the kernel", repaired.error());
    hosts_due_ = true;
  }
  suspended_ = suspended;
  if (++rounds_ % rounds_per_host_look == 0) hosts_due_ = true;
  look();
}

void SelfRepair::look_soon() {
  if (soon_.active()) return;
  const auto now = parts_.clock.now();
  soon_ = parts_.loop.after(std::max<Duration>(settle_time, rest_until_ - now), [this] {
    soon_.cancel();
    look();
  });
}

void SelfRepair::look() {
  const system::DescriptorReserve::Use use(descriptors_);
  const auto begin = parts_.clock.now();
  look_at_rules();
  look_at_network();
  if (std::exchange(hosts_due_, false)) look_at_hosts();
  const auto end = parts_.clock.now();
  rest_until_ = end + (end - begin) * rest_factor;
}

void SelfRepair::look_at_rules() {
  using Drift = redirect::NftRedirect::Drift;
  const auto drift = parts_.redirect.inspect();
  if (!drift) return complain("the table inet drpf", drift.error());
  if (parts_.redirect.take_routing_rules_repaired() > 0) note("the routing rules", false);
  if (*drift == Drift::none) return;
  if (*drift == Drift::structure) {
    // Of a book that is not known for sure nothing is opened; its leases follow when it has been read back.
    const auto leases = parts_.gateway.is_book_committed() ? parts_.gateway.book().redirections() : std::vector<lease::Redirection>{};
    const auto restored = parts_.redirect.restore(leases, parts_.clock.now());
    if (!restored) {
      look_soon();
      return complain("the table inet drpf, nothing is forwarded meanwhile", restored.error());
    }
    note("the table inet drpf", true);
    forget_author();
    return look_soon();  // it may have been changed again meanwhile
  }
  const auto repaired = parts_.gateway.reconcile();
  if (!repaired) {
    look_soon();
    return complain("the leases in the table inet drpf", repaired.error());
  }
  if (*drift == Drift::elements && *repaired > 0) note("the leases in the table inet drpf", true);
}

void SelfRepair::look_at_network() {
  const auto tunnels = look_at_tunnels();
  parts_.gateway.set_condition("tunnel", tunnels ? std::nullopt : std::optional(tunnel_warning(tunnels.error())));
  if (!tunnels) return complain("the tunnel's interface", tunnels.error());
  const auto probe = parts_.doctor.repair_probe();
  if (!probe) return complain("the interface that leases are tested from", probe.error());
  if (*probe) note("the interface that leases are tested from", false);
  keep_parameter("net.ipv4.ip_forward", "1");
  const auto carries_v6 = [](const TunnelInterface& tunnel) { return tunnel.carries_v6(); };
  if (std::any_of(parts_.tunnels.begin(), parts_.tunnels.end(), carries_v6)) keep_parameter("net.ipv6.conf.all.forwarding", "1");
}

Status SelfRepair::look_at_tunnels() {
  for (auto& tunnel : parts_.tunnels) {
    const auto repaired = tunnel.repair(parts_.network);
    if (!repaired) return fail(repaired.error());
    if (repaired->made) {
      note("the tunnel's interface, which was gone", false);
      doors_due_ = DoorsDue{repaired->moved || (doors_due_ && doors_due_->moved)};
      continue;
    }
    if (repaired->link) note("the tunnel's interface, which was down", false);
    if (repaired->addresses > 0) note("the addresses of the tunnel's interface", false);
    if (repaired->routes > 0) note("the routes to the tunnel", false);
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
  note("the kernel parameter " + name, false);
}

void SelfRepair::look_at_hosts() {
  const auto followed = parts_.follow_hosts();
  if (!followed) {
    hosts_due_ = true;
    return complain("the public addresses, leases stay on the former ones", followed.error());
  }
  if (!*followed) return;
  note("the public addresses, leases have moved to the new ones", false);
  forget_author();
  parts_.gateway.call_connected_devices();
}

void SelfRepair::note(const std::string& what, bool with_author) {
  complaint_.clear();
  const auto now = parts_.clock.now();
  if (const auto line = record_.note(what, culprit(with_author), now)) parts_.log->warn("{}", *line);
  const bool alarm = record_.report(now).alarm;
  if (alarm && !alarm_)
    parts_.log->error("more than {} repairs within a minute: another program works against the gateway; `drpf status` says which",
                      RepairRecord::repairs_per_minute_max);
  alarm_ = alarm;
}

// A guess for the operator: who committed the last change of a rule set, and what is known to do such things on this host.
std::string SelfRepair::culprit(bool with_author) {
  if (!with_author) return {};
  std::string text;
  if (author_ && parts_.clock.now() - author_heard_ < author_age_max)
    text = fmt::format("the program '{}' (process {})", author_->program, author_->process);
  const auto names = parts_.redirect.names_of_others();
  const auto owner = names ? firewall::owner_by_names(*names) : std::string();
  if (!owner.empty()) return text.empty() ? "probably " + owner : text + ", probably for " + owner;
  if (author_ && author_->program == "nft" && !text.empty()) text += ", perhaps nftables.service or a script";
  return text;
}

void SelfRepair::complain(const std::string& what, const Error& error) {
  if (complaint_ == what) return;
  complaint_ = what;
  parts_.log->error("{} could not be put right, it is tried again every {} s: {}", what,
                    std::chrono::duration_cast<std::chrono::seconds>(interval).count(), error.message);
}

}  // namespace drpf::daemon
