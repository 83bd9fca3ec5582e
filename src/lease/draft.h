// A transaction in the making: turns "this grant shall look so afterwards" into records and redirections. It does not choose ports.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lease/tables.h"
#include "lease/transaction.h"
#include "lease/types.h"

namespace drpf::lease {

// The lease as the kernel must have it: one entry per address family that host and device share; none while held.
std::vector<Redirection> redirections(const Lease& lease, const PublicHost* host, const Device& device);

class Draft {
 public:
  // `after`: the policy that holds when the transaction has been applied.
  Draft(const Tables& tables, Time now, const Policy& after);
  Draft(const Tables& tables, Time now) : Draft(tables, now, tables.policy()) {}

  template <class Change>
  void record(Change change) {
    transaction_.records.emplace_back(std::move(change));
  }
  std::uint32_t new_id() { return transaction_.next_id++; }
  void address_given(std::uint32_t offset) { transaction_.addresses_used_to = offset; }
  Time now() const { return now_; }
  const Transaction& transaction() const { return transaction_; }
  Transaction take() { return std::move(transaction_); }

  Lease activated(Lease lease, Time deadline);  // with a generation of its own

  // One lease: from what the tables hold (null = nothing) to `after` (null = it ends). `device` is the device as it is afterwards.
  void change(const Lease* before, const Lease* after, const Device& device);
  // A grant: `leases` are all that it has afterwards. Ports without one leave it for the quarantine; where that cuts the range, or the
  // kinds of its leases differ, it becomes several grants. `shape` gives kind and kept_until.
  void reshape(const Grant& before, const Grant& shape, std::vector<Lease> leases, const Device& device);
  // A new grant with its leases, whose `grant` is filled in here.
  void give(Grant grant, std::vector<Lease> leases, const Device& device);
  // Takes the range out of the quarantines that it overlaps.
  void claim(const std::string& host, PortRange ports);

 private:
  Generation new_generation();
  const PublicHost* host_after(const std::string& name) const;

  const Tables& tables_;
  Time now_;
  const Policy& after_;
  Transaction transaction_;
};

}  // namespace drpf::lease
