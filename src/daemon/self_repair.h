// Keeps this host as the gateway needs it: its table, its routing rules, the tunnel's interface and routes, forwarding, and the public
// addresses that the leases are on. Looks when the kernel tells of a change and every two seconds; what is right is found by looking.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/fwd.h>

#include "core/time.h"
#include "daemon/port_doctor.h"
#include "daemon/repair_record.h"
#include "daemon/tunnel_interface.h"
#include "gateway/gateway.h"
#include "net/event_loop.h"
#include "redirect/nft_redirect.h"
#include "system/descriptor_reserve.h"
#include "system/kernel_events.h"
#include "system/links_and_routes.h"

namespace drpf::daemon {

class SelfRepair {
 public:
  static constexpr Duration interval = std::chrono::seconds(2);
  static constexpr Duration settle_time = std::chrono::milliseconds(5);  // one change comes as many events
  static constexpr int rest_factor = 2;  // the rest after looking: it takes a third of the time at most, however many events there are
  static constexpr Duration author_age_max = std::chrono::seconds(3);
  static constexpr int rounds_per_host_look = 5;  // of the timer; events make it look at once
  static constexpr std::size_t descriptors_reserved = 16;  // for one look: netlink, /proc, an interface, a door
  static constexpr Duration suspension_min = std::chrono::milliseconds(500);

  struct Parts {
    redirect::NftRedirect& redirect;
    system::LinksAndRoutes& network;
    std::vector<TunnelInterface>& tunnels;
    PortDoctor& doctor;
    gateway::Gateway& gateway;
    net::EventLoop& loop;
    const Clock& clock;
    std::shared_ptr<spdlog::logger> log;
    // Looks for the public addresses and follows them; says whether they had changed.
    std::function<Result<bool>()> follow_hosts;
    // A tunnel's interface is another one: what hangs on it is opened anew; `moved`: its index is another one, too.
    std::function<Status(bool moved)> reopen_tunnel_doors;
  };

  static Result<std::unique_ptr<SelfRepair>> start(Parts parts);
  ~SelfRepair();

  api::RepairReport report() const { return record_.report(parts_.clock.now()); }
  // The rule set was just changed by ourselves: what was heard of it is not held against anybody.
  void forget_author();

 private:
  SelfRepair(Parts parts, system::KernelEvents events) : parts_(std::move(parts)), events_(std::move(events)) {}

  void on_events();
  void on_timer();
  void look_soon();
  void look();
  void look_at_rules();
  void look_at_network();
  Status look_at_tunnels();
  void keep_parameter(const std::string& name, const std::string& wanted);
  void look_at_hosts();
  void note(const std::string& what, bool with_author);
  std::string culprit(bool with_author);
  void complain(const std::string& what, const Error& error);

  Parts parts_;
  system::KernelEvents events_;
  system::DescriptorReserve descriptors_{descriptors_reserved};
  RepairRecord record_;
  std::optional<system::RulesetAuthor> author_;
  Time author_heard_{};
  bool hosts_due_ = false;
  struct DoorsDue {
    bool moved = false;
  };
  std::optional<DoorsDue> doors_due_;
  int rounds_ = 0;
  Time rest_until_{};
  Duration suspended_{};
  bool alarm_ = false;
  std::string complaint_;  // the last, said once
  net::Timer soon_;
  net::Watch ruleset_watch_, network_watch_, timer_;
};

}  // namespace drpf::daemon
