// The redirect over the simulated kernel: what NftRedirect does with elements and connections, with the faults of a kernel. Belongs to
// one process of the gateway and forgets with it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "redirect/redirect.h"
#include "simulation/faults.h"
#include "simulation/kernel.h"

namespace drpf::simulation {

class ModelRedirect final : public redirect::Redirect {
 public:
  static constexpr Duration deadline_tolerance = std::chrono::milliseconds(1500);  // as NftRedirect's

  ModelRedirect(Kernel& kernel, VirtualClock& clock, Faults& faults, Dice& dice)
      : kernel_(kernel), clock_(clock), faults_(faults), dice_(dice) {}

  Status start(std::string ruleset, std::span<const lease::Redirection> desired, Time now);
  // Whole or not at all, or nobody knows.
  Status change_ruleset(std::string ruleset, std::span<const lease::Redirection> desired, Time now);
  // The rule set that this process believes in, and the elements.
  Result<std::size_t> restore(std::span<const lease::Redirection> desired, Time now);
  Status carry_out(const lease::Transaction& transaction, Time now) override;
  Result<std::size_t> reconcile(std::span<const lease::Redirection> desired, Time now) override;
  Status admit(const redirect::Admission& device, Duration lifetime) override;
  void purge_waiting();  // what the purging thread does sooner or later

 private:
  Result<std::size_t> repair(std::span<const lease::Redirection> desired, Time now);
  void put_first_of(const PortKey& device, Time now);
  void purge_stale();
  bool slow();  // true when it took time
  Status refused(const char* what) const { return fail(failure("kernel_refused", std::string("the simulated kernel refuses: ") + what)); }
  Duration left(Time deadline, Time now) const;

  Kernel& kernel_;
  VirtualClock& clock_;
  Faults& faults_;
  Dice& dice_;
  bool in_doubt_ = false;
  std::string ruleset_;
  std::set<lease::Generation> purging_;
  std::map<PortKey, lease::Redirection> installed_;  // what this process believes is there
};

}  // namespace drpf::simulation
