// The lease book: who holds which public port, until when. It decides; it does not act: every decision is a Transaction that the caller
// commits to the store, applies here, carries out in the redirect, and only then answers. It knows no protocol, no clock and no file.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "lease/requests.h"
#include "lease/transaction.h"
#include "lease/types.h"

namespace drpf::lease {

class LeaseBook {
 public:
  // `policy` has passed validate(Policy) and `state` validate(State), both in lease/validation.h. After a start call
  // reconfigure(policy(), now) once: the policy may be another than the one that the state was made under.
  LeaseBook(Policy policy, State state);
  ~LeaseBook();
  LeaseBook(LeaseBook&&) noexcept;
  LeaseBook& operator=(LeaseBook&&) noexcept;

  // --- decisions; const: nothing changes until apply(). Refusals are Error::Kind::refusal with these codes:
  // quota_exhausted, pool_exhausted, no_contiguous_range, port_reserved, port_occupied, port_outside_pool, port_zero, port_taken,
  // port_quarantined, port_choice_not_allowed, account_suspended, account_limit, device_limit, name_taken, name_invalid,
  // addresses_exhausted, not_connected; others are not_found: account_unknown, device_unknown, plan_unknown, lease_unknown, host_unknown.
  Result<Decided<Account>> add_account(std::string_view name, std::optional<std::string_view> plan) const;
  Result<Transaction> set_account(AccountId id, std::optional<std::string_view> plan, std::optional<bool> suspended, Time now) const;
  Result<Transaction> remove_account(AccountId id, Time now) const;  // with its devices and grants; ports go to quarantine
  Result<Decided<Device>> add_device(AccountId account, std::string_view name) const;
  Result<Transaction> remove_device(DeviceId id, Time now) const;

  // First connect: grants of the plan; every connect: leases become active with new generations. A quota or pool refusal for automatic
  // ports does not refuse the connect: the device is then connected without (or with fewer) ports and `shortfall` says why; so does
  // a suspended account's. Calling it for a connected device is harmless and mostly an empty transaction: due deadlines are renewed, and
  // missing automatic ports are tried again.
  struct Connected {
    Transaction transaction;
    std::optional<Error> shortfall;
  };
  Result<Connected> connect(DeviceId id, Time now) const;
  Result<Transaction> disconnect(DeviceId id, Time now) const;  // empty when it is not connected

  Result<Decided<std::vector<Lease>>> add_lease(const LeaseRequest& request, Time now) const;
  // Ports for it come first from what the device holds (its automatic ports from the highest down, as long as they lead to themselves),
  // then from what the plan still allows. TCP and UDP of one internal port get the same number where that is possible. Refusals: as of
  // add_lease(); with only_suggested port_taken, port_choice_not_allowed, port_outside_pool, ....
  Result<Decided<std::vector<Lease>>> map(const MappingRequest& request, Time now) const;
  // The number that ended; none is no error. A mapping with another nonce stays: nonce_mismatch, if it was the only one.
  Result<Decided<std::size_t>> end_mappings(const MappingEnd& end, Time now) const;
  Result<Transaction> set_lease(const PublicPort& on, Port local_port, Time now) const;
  // Ends the lease; where it was the last of its grant's port, the port goes to quarantine.
  Result<Transaction> remove_lease(const PublicPort& on, Time now) const;

  // What time alone brings: renewals of connected devices' leases (at half of the lifetime), leases past their deadline, grants past
  // their grace, quarantines past their end. Call when `now >= next_deadline()`. At most `limit` leases are looked at in one call; what
  // is left over is due at once. A device whose leases ran out (the book was not asked in time) is disconnected by it.
  Transaction tick(Time now, std::size_t limit = 1000) const;
  std::optional<Time> next_deadline() const;

  // A new policy, whole: leases that it makes impossible (host gone, port outside pool or reserved, addresses changed) end or move. A host
  // that only has another name keeps its leases (lease/renamed_hosts.h).
  Transaction reconfigure(const Policy& policy, Time now) const;
  void adopt(Policy policy) noexcept;  // after the transaction of reconfigure() was applied

  // --- the one way to change the book: after the store has committed the transaction. What is committed has no way back: where memory runs
  // out in the middle, the process ends, and the next one reads the whole of it from the store.
  void apply(const Transaction& transaction) noexcept;

  // --- reads
  const Policy& policy() const;
  const Account* account(AccountId id) const;
  const Account* account(std::string_view name) const;
  const Device* device(DeviceId id) const;
  const Device* device(std::string_view name) const;
  const Device* device_at(const Address& tunnel_address) const;
  const Grant* grant(GrantId id) const;
  const Lease* lease(const PublicPort& on) const;
  const Plan* plan(std::string_view name) const;
  const PublicHost* host(std::string_view name) const;
  std::vector<const Account*> accounts() const;  // by name
  std::vector<const Device*> devices() const;    // by name
  std::vector<const Device*> devices_of(AccountId account) const;
  std::vector<const Lease*> leases() const;  // by public port
  std::vector<const Lease*> leases_of(DeviceId device) const;
  std::vector<const Lease*> mappings_of(DeviceId device) const;  // leases with a mapping, by public port
  const Lease* mapping(DeviceId device, Protocol protocol, Port internal_port) const;
  // Where programs of the device are told that they are reached: the host of its oldest port.
  const PublicHost* host_of(DeviceId device) const;
  std::vector<const Grant*> grants_of(AccountId account) const;
  std::vector<const Quarantine*> quarantines() const;
  std::uint32_t ports_held(AccountId account) const;
  std::uint32_t ports_resting(AccountId account) const;  // given back by it, and not yet for others
  std::uint64_t ports_free() const;                      // over all hosts: neither held nor resting nor reserved
  Time epoch_started() const;                            // when mappings were last lost
  State state() const;                                   // everything, as the store would keep it

  // Every active lease as the kernel must have it now, one per address family: the desired state of the redirect.
  std::vector<Redirection> redirections() const;
  // The same for one lease: one or two entries, by the addresses of its host and device.
  std::vector<Redirection> redirections_of(const Lease& lease) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace drpf::lease
