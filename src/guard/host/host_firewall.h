// The personal firewall of this machine: its rules in their files and in the kernel, changed together. What a rule set means is
// firewall/host's affair; what is said of it, firewall_report.h's.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "firewall/host/host_ruleset.h"
#include "firewall/host/host_ruleset_text.h"
#include "firewall/host/service_names.h"
#include "guard/host/state_folder.h"

namespace drpf::guard {

inline constexpr const char* leased_ports_folder_default = "/run/drpf-connect";

struct FirewallPlaces {
  std::string state = firewall_folder_default;
  std::string leased_ports = leased_ports_folder_default;  // files NAME.ports of `drpf connect --ports-file`
};

// What the kernel has.
struct KernelTable {
  bool there = false;
  bool panic = false;
  std::optional<std::chrono::milliseconds> trial_left;
};

class HostFirewall {
 public:
  // Reads names and profiles. Error: not root. A profile that is wrong is the error of whatever reads rules.
  static Result<HostFirewall> open(const FirewallPlaces& places);

  const firewall::ServiceNames& names() const { return names_; }
  // One change at a time: held by whoever changes.
  Result<system::Fd> lock() const { return folder_.lock(); }
  Result<KernelTable> kernel() const;
  // The rules that hold when nothing is on trial; off and none where there is no file.
  Result<firewall::HostRuleset> confirmed() const;
  // The change that waits for `confirm`, if its time is not over.
  Result<std::optional<firewall::HostRuleset>> on_trial() const;
  // A change that was not confirmed in its time, and that the kernel has taken back.
  Result<std::optional<firewall::HostRuleset>> taken_back() const;

  // From now on and from every start of the machine on. Staged on the disk first, then in the kernel, then in its place.
  Status commit(const firewall::HostRuleset& ruleset) const;
  // For `time`, and then the kernel takes it back by itself.
  Status try_out(const firewall::HostRuleset& ruleset, std::chrono::seconds time) const;
  Status panic(const std::optional<firewall::HostSession>& session) const;
  // What the machine starts with: the rules; where they cannot be read, the table as it was put last, and the reason is returned.
  Result<std::string> restore() const;
  // The leased ports of now into the rules that stand.
  Status follow_leases() const;

 private:
  HostFirewall(FirewallPlaces places, firewall::ServiceNames names, std::optional<Error> wrong_profile)
      : places_(std::move(places)), folder_(places_.state), names_(std::move(names)), wrong_profile_(std::move(wrong_profile)) {}
  Result<std::optional<firewall::HostRuleset>> read(std::string_view file) const;
  std::vector<firewall::ServicePorts> leased_now() const;

  FirewallPlaces places_;
  StateFolder folder_;
  firewall::ServiceNames names_;
  std::optional<Error> wrong_profile_;
};

// "3.5s" and the like behind "expires" in a listing; the longest.
std::optional<std::chrono::milliseconds> parse_time_left(std::string_view listing);

}  // namespace drpf::guard
