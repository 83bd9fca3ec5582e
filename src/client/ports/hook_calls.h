// Which of the user's commands are to be run, and with what, when the ports of this device were one thing and are another now. Runs
// nothing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/ports/change_hook.h"
#include "client/ports/published_ports.h"

namespace drpf::client {

struct HookCommands {
  std::optional<std::string> on_change;  // all ports together: up, change, down
  std::optional<std::string> on_up;      // all ports together, and only while there are some: up, change
  std::optional<std::string> on_down;    // told the ports that were
  std::optional<std::string> on_lease;   // each port by itself: lease, change, end

  bool any() const { return on_change || on_up || on_down || on_lease; }
};

// Followed programs by the port of this machine on which they listen.
using ProgramsByPort = std::map<Port, std::string>;

// `event` is about all ports together: up, change or down. Both lists are sorted.
std::vector<HookCall> hook_calls(const HookCommands& commands, HookEvent event, std::string_view interface,
                                 const std::vector<PublishedPort>& before, const std::vector<PublishedPort>& after,
                                 const ProgramsByPort& programs = {});

}  // namespace drpf::client
