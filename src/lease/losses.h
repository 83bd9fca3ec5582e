// What customers would lose by another policy: said before it is done. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "lease/lease_book.h"

namespace drpf::lease {

struct Losses {
  static constexpr std::size_t told_max = 10;  // leases and devices that a message names

  struct EndingLease {
    PublicPort on;
    std::string account;
    std::string device;
    bool operator==(const EndingLease&) const = default;
  };
  struct MovingDevice {
    std::string account;
    std::string device;
    Address from;               // the address that it would no longer have
    std::optional<Address> to;  // none: without one in its place
    bool operator==(const MovingDevice&) const = default;
  };
  std::vector<EndingLease> leases;    // by public port
  std::vector<MovingDevice> devices;  // by name

  bool empty() const { return leases.empty() && devices.empty(); }
};

// `change`: the book's decision for the policy, not applied yet.
Losses losses(const LeaseBook& book, const Transaction& change);

// Refused with the list of what would go, unless nothing would: change_ends_leases.
Status refuse_losses(const LeaseBook& book, const Transaction& change);

}  // namespace drpf::lease
