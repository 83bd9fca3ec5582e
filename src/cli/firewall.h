// What the files of `drpf firewall` share. For the commands' own files only.
#pragma once

#include "cli/command_line.h"
#include "guard/host/host_firewall.h"

namespace drpf::cli {

struct FirewallOptions {
  guard::FirewallPlaces places;
  bool json = false;
};

void declare_firewall(CLI::App& command, FirewallOptions& options);
// status, rules, log, test, export
void add_firewall_look_commands(CLI::App& group, CommandLine& line);

}  // namespace drpf::cli
