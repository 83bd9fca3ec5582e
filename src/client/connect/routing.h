// Carries out a RoutePlan in this network namespace, and takes it back. Decides nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/connect/route_plan.h"
#include "core/result.h"

namespace drpf::client {

class Routing {
 public:
  // `note_path`: where former values of kernel parameters are kept until they are put back, also over a crash; a machine where it cannot be
  // written is no obstacle.
  Routing(std::string interface, std::string note_path) : interface_(std::move(interface)), note_path_(std::move(note_path)) {}

  // Rules, firewall table and kernel parameters that this or a killed predecessor left; what is not there is no error. True if there was
  // any.
  Result<bool> clear();
  // The interface must exist. The firewall comes first, the rules that lead traffic into the tunnel come last; on an error all is cleared.
  Status apply(const RoutePlan& plan);

 private:
  Status apply_steps(const RoutePlan& plan);
  Status set(const PlannedSetting& setting);
  Result<bool> clear_rules();
  bool restore_settings();

  std::string interface_;
  std::string note_path_;
  std::vector<std::pair<std::string, std::string>> former_;  // what the note says, where none can be written
};

// False where IPv6 is switched off or absent: then a plan must not speak of it.
bool has_ipv6();

}  // namespace drpf::client
