// What a device's coming and going does to its grants and leases.
#pragma once

#include <optional>

#include "core/result.h"
#include "lease/draft.h"
#include "lease/tables.h"

namespace drpf::lease {

// What the lease is while its device is away; none: a requested lease ends.
std::optional<Lease> held(const Lease& lease);
// The lease after its mapping: one that carried it leads where it led before, until `deadline`; none: it was requested, and ends.
std::optional<Lease> without_mapping(Draft& draft, const Lease& lease, Time deadline);
// Whether the half of its lifetime is over, so that a renewal is worth a write.
bool is_renewal_due(const Lease& lease, Duration lifetime, Time now);

// Connected: activates and renews what the device has, and gives it its automatic ports where it has none. Returns the shortfall.
std::optional<Error> arrive(Draft& draft, const Tables& tables, const DeviceEntry& device);
void depart(Draft& draft, const Tables& tables, const DeviceEntry& device);
// An account's suspension begins (all is held) or ends (leases of connected devices become active, a grace begins again).
void suspend(Draft& draft, const Tables& tables, const DeviceEntry& device);
void resume(Draft& draft, const Tables& tables, const DeviceEntry& device);
// What rested while the account was suspended, and did not end meanwhile, rests once more from now on.
void rest_again(Draft& draft, const Tables& tables, const AccountEntry& account);
// The device is no more: all its ports go to the quarantine.
void dissolve(Draft& draft, const Tables& tables, const DeviceEntry& device);

}  // namespace drpf::lease
