// The show: what happens in which order, and the seven chapters of facts that come of it. Each fact is written down where it was observed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/time.h"
#include "lab/demo/actors.h"
#include "lab/demo/report.h"
#include "lab/demo/servers.h"
#include "lab/demo/topology.h"
#include "lab/stage/admin.h"
#include "lab/stage/stage.h"
#include "system/fd.h"
#include "system/process.h"
#include "terminal/progress.h"

namespace drpf::lab::demo {

inline constexpr Port pop3_port{110};
inline constexpr Port private_service_port{8080};
inline constexpr std::size_t mapped_index = 2;  // which of the home's ports leads to pop3_port

// A home with its device: how it is connected, and what it holds.
struct Home {
  std::string device;  // its name at the gateway
  DeviceFile file = {};
  system::Process tunnel = {};  // drpf connect or wireguard-go
  std::vector<system::Process> servers = {};
  std::vector<std::uint16_t> ports = {};  // the public ones, ascending
};

class Show {
 public:
  Show(const Stage& stage, const Topology& topology, const system::Fd& executable)
      : stage_(&stage), topology_(&topology), executable_(&executable), admin_(executable, topology.gateway) {}

  // Gateway and accounts. Without this there is nothing to show.
  Status prepare(terminal::Progress& progress);
  // Calls `tell` after each chapter. A chapter that cannot even be tried is a fact that did not hold.
  std::vector<Chapter> play(terminal::Progress& progress, const std::function<void(const Chapter&, std::size_t)>& tell);

  const Admin& admin() const { return admin_; }
  const Home& home_1() const { return home_1_; }
  const Home& home_2() const { return home_2_; }

 private:
  Chapter connected_with_ports(terminal::Progress& progress);    // 1
  Chapter reached_from_outside(terminal::Progress& progress);    // 2
  Chapter standard_port_mapped(terminal::Progress& progress);    // 3
  Chapter asked_why(terminal::Progress& progress);               // 4
  Chapter everything_else_closed(terminal::Progress& progress);  // 5
  Chapter disconnected_and_back(terminal::Progress& progress);   // 6
  Chapter gateway_killed(terminal::Progress& progress);          // 7

  Status start_servers();
  Status add_device(Home& home, const std::string& account);
  Fact answered_by_http(const Home& home, const std::string& url_host, const std::string& visitor);
  Fact answered_by_udp(const Home& home);
  // `picture` gets the table that `drpf scan` prints.
  Fact scanned_tcp(const std::string& name, const char* target, const std::set<std::uint16_t>& expected, std::string* picture);
  Fact scanned_udp(const std::set<std::uint16_t>& expected);
  Fact homes_apart(const std::string& name, const Machine& from, const Machine& to, const Home& target);
  Fact false_source_dropped();
  // What `drpf lease test` finds at home 1's HTTP server.
  Fact told_why(const std::string& name, const std::string& what, const std::string& finding, int exit_code) const;
  Result<std::string> fetch(const std::string& url) const;
  // Polls the lease list until `enough` says so of the home's rows; returns the rows seen last, and whether it came to that.
  std::pair<std::vector<LeaseRow>, bool> await_leases(const Home& home, Duration limit,
                                                      const std::function<bool(const std::vector<LeaseRow>&)>& enough) const;
  std::set<std::uint16_t> tcp_ports_with_server() const;

  const Stage* stage_;
  const Topology* topology_;
  const system::Fd* executable_;
  Admin admin_;
  system::Process gateway_;
  system::Process private_service_;
  Home home_1_{.device = "home-1"};
  Home home_2_{.device = "home-2"};
};

}  // namespace drpf::lab::demo
