// What `drpf connect` is asked to do. Values only: the command line is read by cli/connect.cpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/connect/tunnel_fences.h"
#include "client/follow/follow_rule.h"
#include "client/ports/hook_calls.h"
#include "client/ports/inform_wish.h"
#include "proxy/settings.h"
#include "system/log.h"

namespace drpf::client {

struct ConnectOptions {
  std::string file;                        // path of the wg-quick file
  bool inbound_only = false;               // keep the machine's own default route; only replies to visitors leave by the tunnel
  std::optional<std::string> interface;    // name of the TUN device; default: the file's name without its ending, as wg-quick has it
  std::optional<std::string> ports_file;   // kept up to date: one public port number per line
  std::optional<std::string> status_file;  // kept up to date: one JSON object
  HookCommands hooks;                      // run by /bin/sh -c (docs/connect.md: variables and {{PORTS}})
  std::vector<InformWish> inform;          // programs that are told their listening port
  std::vector<FollowRule> follow;          // programs that are given a public port while they listen
  std::optional<std::string> share;        // interface whose machines may ask for ports, too
  OpenPorts let_in;                        // may come out of the tunnel beside leases
  std::vector<std::string> askers;         // interfaces whose machines may ask the gateway in this device's name
  proxy::Settings proxy;                   // of a process of its own beside this one, for other machines
  bool json = false;                       // one JSON object per line on standard output instead of text
  system::LogLevel log_level = system::LogLevel::info;  // of what is said on standard error
  bool kill_switch = true;                    // full tunnel only: nothing but the tunnel's own packets (and the LAN) leaves outside of it
  bool stay_closed = false;                   // a signal ends the program and leaves the kill switch, too
  bool close = false;                         // only set the kill switch, then leave
  bool status = false;                        // only say whether it stands, then leave
  bool clean_up = false;                      // only clear what a killed predecessor left for this interface, then leave
  std::string state_directory = "/run/drpf";  // lock and note of what was set up, one file each per interface
};

}  // namespace drpf::client
