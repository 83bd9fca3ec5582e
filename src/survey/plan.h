// From the command line to a scan that may be carried out: targets resolved and admitted, ports and kinds chosen, rates checked. What it
// needs of the machine comes in as functions, so that every refusal can be tried without one.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scan/ask/scope.h"
#include "scan/port_list.h"
#include "scan/tell/report.h"
#include "survey/options.h"
#include "system/links_and_routes.h"

namespace drpf::survey {

inline constexpr const char* own_file = "/etc/drpf/scan-own";
inline constexpr const char* exclude_file = "/etc/drpf/scan-exclude";
inline constexpr unsigned tcp_ports_default = 1000;
inline constexpr unsigned udp_ports_default = 100;  // closed ones are told one a second by most systems
inline constexpr std::uint16_t zombie_port_default = 80;

inline constexpr std::size_t list_file_max = 16 << 20;   // bytes
inline constexpr std::string_view standard_input = "-";  // the name of it as a list

struct Environment {
  std::function<Result<std::string>(const std::string& path, std::size_t size_max)> read_file;  // not_found where there is none
  std::function<Result<std::vector<Address>>(const std::string& name)> resolve;
  std::function<Result<std::vector<system::InterfaceAddress>>()> addresses;
  std::function<std::vector<Port>(std::size_t count, Protocol protocol)> likely_ports;
  scan::ServiceNames services;
  std::function<std::string(std::uint16_t number, scan::Kind kind)> service_name;  // empty: none known
  std::function<std::vector<std::string>()>
      output_chains;  // of this machine's rules, that may refuse what it sends; as far as they can be read
  bool raw_sockets_allowed = false;
};

enum class Discovery : std::uint8_t { never, unnamed, always };  // unnamed: hosts that were not named one by one

struct Plan {
  scan::AdmittedTargets admitted;
  std::vector<Address> targets;
  std::map<Address, std::string> names;  // of targets that were given by name
  std::set<Address> named;               // given one by one
  std::vector<Prefix> links;             // networks that this machine is in
  std::vector<scan::PassHead> passes;
  scan::Pace pace;
  std::string interface;
  std::optional<Address> source;
  std::optional<Endpoint> zombie;
  bool udp_fast = false;
  bool through_own_rules = false;
  bool only_discovery = false;
  Discovery discovery = Discovery::unnamed;
  std::vector<std::string> remarks;  // sentences for the user
  bool is_near(const Address& address) const {
    return std::ranges::any_of(links, [&](const auto& link) { return link.contains(address); });
  }
  std::vector<std::string> unresolved;  // names among the targets, with the reason; the others are asked all the same
};

Result<Plan> make_plan(const Options& options, const Environment& environment);

}  // namespace drpf::survey
