// Keeps this host as the gateway needs it: its table, its routing rules, the tunnel's interface and routes, forwarding, and the public
// addresses that the leases are on. When to look is repair/'s affair; what is right is found by looking.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/fwd.h>

#include "core/time.h"
#include "daemon/port_doctor.h"
#include "daemon/tunnel_interface.h"
#include "gateway/gateway.h"
#include "net/event_loop.h"
#include "redirect/nft_redirect.h"
#include "repair/host_watch.h"
#include "system/descriptor_reserve.h"
#include "system/links_and_routes.h"

namespace drpf::daemon {

class SelfRepair {
 public:
  static constexpr int rounds_per_host_look = 5;           // of the timer; events make it look at once
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

  api::RepairReport report() const { return watch_->report(); }
  // The rule set was just changed by ourselves: what was heard of it is not held against anybody.
  void forget_authors() { watch_->forget_authors(); }

 private:
  explicit SelfRepair(Parts parts) : parts_(std::move(parts)) {}

  void look(repair::HostWatch::Occasion occasion);
  void look_after_sleep();
  void look_at_rules();
  void look_at_network();
  Status look_at_tunnels();
  void keep_parameter(const std::string& name, const std::string& wanted);
  void look_at_hosts();
  void complain(const std::string& what, const Error& error) { watch_->complain(what, error); }

  Parts parts_;
  std::unique_ptr<repair::HostWatch> watch_;
  system::DescriptorReserve descriptors_{descriptors_reserved};
  bool hosts_due_ = false;
  struct DoorsDue {
    bool moved = false;
  };
  std::optional<DoorsDue> doors_due_;
  int rounds_ = 0;
  Duration suspended_{};
};

}  // namespace drpf::daemon
