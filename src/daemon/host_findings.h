// Says in the log and in the status what `drpf check` finds as a problem of this host, from the start on. Looks only; changes nothing.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <spdlog/fwd.h>

#include "api/service.h"
#include "core/time.h"
#include "gateway/gateway.h"

namespace drpf::daemon {

class HostFindings {
 public:
  static constexpr Duration interval = std::chrono::seconds(60);

  HostFindings(gateway::Gateway& gateway, std::function<std::vector<api::Finding>()> check, std::shared_ptr<spdlog::logger> log)
      : gateway_(gateway), check_(std::move(check)), log_(std::move(log)) {}
  // For the status, the log, and who asked.
  std::vector<api::Finding> look();

 private:
  gateway::Gateway& gateway_;
  std::function<std::vector<api::Finding>()> check_;
  std::shared_ptr<spdlog::logger> log_;
  std::set<std::string> known_;  // problems that the log has
};

}  // namespace drpf::daemon
