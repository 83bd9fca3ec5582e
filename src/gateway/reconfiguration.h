// A change of what the gateway runs by, as one transaction over the host, the rule set and the lease book. A configuration that is read
// again and a public address that changes by itself take this one way; what could not be taken back is said, and mended.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <spdlog/fwd.h>

#include "api/service.h"
#include "configuration/setup.h"
#include "core/result.h"
#include "core/time.h"
#include "gateway/gateway.h"
#include "lease/transaction.h"

namespace drpf::gateway {

// What a change is carried out on, beside the gateway's leases.
class ReconfigurableHost {
 public:
  virtual ~ReconfigurableHost() = default;

  // The configuration as it is to be read now, proven against this host. Changes nothing.
  virtual Result<configuration::Setup> propose() = 0;
  // Where the hosts of this configuration are by now. Errors: unavailable and not_found = nowhere.
  virtual Result<std::vector<configuration::FoundHost>> find_hosts(const configuration::Configuration& configuration) = 0;

  // The two steps on the host itself: done, or nothing of it, or an error after which nobody knows. Both may be repeated.
  virtual Status put_parameters(const configuration::Setup& setup) = 0;
  virtual Status put_ruleset(const configuration::Setup& setup, std::span<const lease::Redirection> leases, Time now) = 0;

  // The change holds: whatever else goes by the setup is told. Cannot fail.
  virtual void adopted(const configuration::Setup& before, const configuration::Setup& now) = 0;
};

class Reconfiguration {
 public:
  static constexpr Duration lost_address_grace = std::chrono::seconds(10);  // a public address that goes may be about to come back
  static constexpr const char* condition = "configuration";

  struct Parts {
    Gateway& gateway;
    ReconfigurableHost& host;
    configuration::Setup& setup;  // that the gateway runs by; changed only here
    const Clock& clock;
    std::shared_ptr<spdlog::logger> log;
  };

  explicit Reconfiguration(Parts parts) : parts_(std::move(parts)) {}

  // Reads the configuration again, and says so in the log. After an error everything is, or will be as soon as host and kernel let it, as
  // it was before; but after kernel_behind the new configuration holds, and what it ended may still pass for a moment.
  // Refused: restart_needed, change_ends_leases. Returns which keys have changed.
  Result<std::vector<std::string>> reload(const api::ReloadOptions& options);
  // Looks for the public addresses, and follows them. Returns whether they had changed.
  Result<bool> follow_hosts();
  // Tries again what a change has left half done; call every few seconds.
  void mend();

 private:
  // What does not go by the setup yet.
  struct Due {
    bool parameters = false;
    bool ruleset = false;
    bool leases = false;
  };

  Status prove_change(const configuration::Setup& next, bool may_end_leases) const;
  Result<std::vector<std::string>> try_reload(const api::ReloadOptions& options);
  Status change_to(const configuration::Setup& next);
  Status take_back(const Error& why, Due due);
  Status put_ruleset(const configuration::Setup& setup);
  // The second is what the kernel did not take of it.
  Result<Status> reconfigure_leases(const configuration::Setup& setup);
  void adopt(configuration::Setup next);
  Status mend_next();

  Parts parts_;
  Due due_;
  std::optional<Time> address_lost_;  // since when a host has had fewer addresses than its leases are on
  std::string told_;                  // of what is due, said once
};

}  // namespace drpf::gateway
