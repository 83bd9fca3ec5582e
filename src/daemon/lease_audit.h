// Looks at all standing leases from outside, one after the other, at the times that the configuration says, and tells what changed since
// the last time and what should not be open. It visits nothing but leases, through the port doctor. On the control thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <spdlog/fwd.h>

#include "api/service.h"
#include "net/event_loop.h"
#include "registry/port_registry.h"
#include "scan/own/own_view.h"

namespace drpf::daemon {

class LeaseAudit {
 public:
  static constexpr std::size_t leases_max = 4'096;  // of one view; further ones are left out, and that is said
  static constexpr std::size_t told_max = 20;       // sentences of each kind in the log
  static constexpr const char* file_name = "own-ports";

  struct Parts {
    api::Service& service;
    net::EventLoop& loop;
    std::shared_ptr<spdlog::logger> log;
    std::string state_directory;
    std::function<void(std::optional<std::string>)> warn;  // what `drpf status` says as long as it holds
  };
  explicit LeaseAudit(Parts parts);

  // Begins a view, unless one is on its way.
  void begin();
  bool running() const { return running_; }

 private:
  void next();
  void finish();
  void tell(const char* what, const std::vector<std::string>& sentences, bool warning);

  Parts parts_;
  registry::PortRegistry names_;  // built-in ones: the gateway's own /etc/services says nothing of the devices
  std::deque<lease::PublicPort> waiting_;
  std::vector<scan::OwnPort> found_;
  std::vector<scan::OwnPort> last_;
  std::vector<std::string> risks_;  // of the last view
  bool has_last_ = false;
  bool running_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // answers may come after our end
};

}  // namespace drpf::daemon
