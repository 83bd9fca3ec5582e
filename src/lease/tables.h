// The lease book's memory: records and the indexes over them. It stores what it is told and decides nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lease/port_set.h"
#include "lease/transaction.h"
#include "lease/types.h"

namespace drpf::lease {

struct AccountEntry {
  Account account;
  std::vector<DeviceId> devices;
  std::set<std::pair<std::uint32_t, Port>> quarantines;  // (host index, first port) of ranges it held last
  std::uint32_t ports_held = 0;
  std::uint32_t ports_resting = 0;  // in those quarantines
};

struct DeviceEntry {
  Device device;
  std::set<GrantId> grants;
  std::set<GrantId> automatic_grants;                 // of them
  std::multimap<std::uint32_t, PublicPort> mappings;  // by HostPorts::key(protocol, internal port)
};

struct LeaseEntry {
  Lease lease;
  Time due{};  // when tick() must look at it; only while active
};

// What is known of the ports of one host, by its name; stays when the host leaves the policy.
struct HostPorts {
  static constexpr std::uint32_t key(Protocol protocol, Port port) {
    return std::uint32_t{static_cast<std::uint8_t>(protocol)} << 16 | port.value();
  }

  std::uint32_t index = 0;
  std::map<std::uint32_t, LeaseEntry> leases;
  std::map<Port, GrantId> grants;  // by first port; ranges never overlap
  std::map<Port, Quarantine> quarantines;
  PortSet taken;  // by grants and quarantines
};

class Tables {
 public:
  Tables(Policy policy, State state);

  void adopt(Policy policy);
  void apply(const Transaction& transaction);

  const Policy& policy() const { return policy_; }
  const AccountEntry* account(AccountId id) const;
  const AccountEntry* account(std::string_view name) const;
  const DeviceEntry* device(DeviceId id) const;
  const DeviceEntry* device(std::string_view name) const;
  const DeviceEntry* device_at(const Address& address) const;
  const Grant* grant(GrantId id) const;
  const Grant* grant_at(std::string_view host, Port port) const;
  const Quarantine* quarantine_at(std::string_view host, Port port) const;
  const Lease* lease(const PublicPort& on) const;
  std::vector<const Lease*> leases_of(const Grant& grant) const;
  const HostPorts* ports_of(std::string_view host) const;
  const HostPorts& ports_of(std::uint32_t index) const { return *host_by_index_[index]; }
  std::string_view host_name(std::uint32_t index) const { return host_names_[index]; }

  const Plan* plan(std::string_view name) const;
  const PublicHost* host(std::string_view name) const;
  // The account's plan; the default one where its own is no longer defined.
  const Plan& plan_of(const Account& account) const;
  const PortSet& leasable() const { return leasable_; }  // what may be given anew: the pool without what is reserved or occupied
  PortSet free_ports(std::string_view host) const;
  bool generation_in_use(Generation generation) const { return generations_.contains(static_cast<std::uint32_t>(generation)); }

  struct Due {
    Time at{};
    std::uint32_t host = 0;
    std::uint32_t key = 0;
    auto operator<=>(const Due&) const = default;
  };
  struct QuarantineEnd {
    Time at{};
    std::uint32_t host = 0;
    Port first;
    auto operator<=>(const QuarantineEnd&) const = default;
  };
  const std::set<Due>& due_leases() const { return due_leases_; }
  // Those of suspended accounts do not end.
  const std::set<std::pair<Time, GrantId>>& grace_ends() const { return grace_ends_; }
  const std::set<QuarantineEnd>& quarantine_ends() const { return quarantine_ends_; }

  const std::map<std::string, AccountId, std::less<>>& account_names() const { return account_names_; }
  const std::map<std::string, DeviceId, std::less<>>& device_names() const { return device_names_; }
  const std::map<std::string, HostPorts, std::less<>>& hosts() const { return hosts_; }
  const std::map<GrantId, Grant>& grants() const { return grants_; }

  std::uint32_t generations_used_to() const { return generations_used_to_; }
  std::uint32_t next_id() const { return next_id_; }
  std::uint32_t addresses_used_to() const { return addresses_used_to_; }
  Time epoch_started() const { return epoch_started_; }

 private:
  void change(const PutAccount& put);
  void change(const DropAccount& drop);
  void change(const PutDevice& put);
  void change(const DropDevice& drop);
  void change(const PutGrant& put);
  void change(const DropGrant& drop);
  void change(const PutLease& put);
  void change(const DropLease& drop);
  void change(const PutQuarantine& put);
  void change(const DropQuarantine& drop);

  HostPorts& host_ports(const std::string& name);
  bool is_suspended(AccountId id) const;
  void schedule_ends(const AccountEntry& entry);
  void forget(const Grant& grant);
  Time due_time(const Lease& lease) const;
  void schedule(HostPorts& host, std::uint32_t key, LeaseEntry& entry);
  void unschedule(HostPorts& host, std::uint32_t key, LeaseEntry& entry);
  void reschedule(HostPorts& host, std::uint32_t key, LeaseEntry& entry);
  void remember_mapping(const Lease& lease);
  void forget_mapping(const Lease& lease);

  Policy policy_;
  PortSet leasable_;
  std::unordered_map<AccountId, AccountEntry> accounts_;
  std::unordered_map<DeviceId, DeviceEntry> devices_;
  std::map<GrantId, Grant> grants_;
  std::map<std::string, AccountId, std::less<>> account_names_;
  std::map<std::string, DeviceId, std::less<>> device_names_;
  std::unordered_map<Address, DeviceId> device_addresses_;
  std::map<std::string, HostPorts, std::less<>> hosts_;
  std::vector<HostPorts*> host_by_index_;
  std::vector<std::string> host_names_;
  std::unordered_set<std::uint32_t> generations_;
  std::set<Due> due_leases_;
  std::set<std::pair<Time, GrantId>> grace_ends_;
  std::set<QuarantineEnd> quarantine_ends_;
  std::uint32_t generations_used_to_ = 0;
  std::uint32_t next_id_ = 1;
  std::uint32_t addresses_used_to_ = 0;
  Time epoch_started_{};
};

}  // namespace drpf::lease
