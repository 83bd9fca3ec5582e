// Where the book and what belongs to it is kept. Everything acknowledged here is there after kill -9 and power loss.
#pragma once

#include <string>

#include "core/result.h"
#include "core/time.h"
#include "lease/transaction.h"
#include "store/credentials.h"

namespace drpf::store {

// A clock reading of both kinds, taken together: deadlines are converted over a reboot by it.
struct ClockReading {
  std::string boot_id;
  Time boot;
  WallTime wall;
};

// Each kind of tunnel is handed its own part of it and no more.
class Store : public WireGuardCredentials, public OpenVpnCredentials {
 public:
  // The book as it was last committed, its deadlines converted to this boot. Where they cannot be placed (other boot and a wall clock
  // that went back), those of leases are in the past, and grace and quarantine times begin again with what was left of them.
  virtual Result<lease::State> load(const ClockReading& now) = 0;
  // All of the transaction or none of it; durable when it returns.
  virtual Status commit(const lease::Transaction& transaction, const ClockReading& now) = 0;

  // The same, with the credentials of devices that it brings (device add).
  virtual Status commit_with(const lease::Transaction& transaction, const Credentials& credentials, const ClockReading& now) = 0;
};

}  // namespace drpf::store
