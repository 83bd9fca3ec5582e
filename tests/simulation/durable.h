// What the store has been told and must therefore know after a crash, and the causes for which it may forget: an account of the truth that
// shares no code with book or store. Every commit is examined here.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lease/transaction.h"
#include "simulation/virtual_clock.h"
#include "store/store.h"

namespace drpf::simulation {

using Place = std::pair<std::string, Port>;  // a port number of a host

// Why a transaction is committed: what the gateway was asked for or told.
struct Cause {
  enum class Kind {
    none,
    start,
    time,
    connect,
    disconnect,
    add_account,
    set_account,
    remove_account,
    add_device,
    remove_device,
    add_lease,
    set_lease,
    remove_lease,
    mappings,  // of programs, several at once
    reconfigure
  };
  Kind kind = Kind::none;
  std::optional<lease::DeviceId> device{};
  std::string name{};  // of the account
  std::optional<lease::PublicPort> on{};
  std::set<lease::DeviceId> ending{};  // devices that give mappings up
  bool may_end_leases = false;         // the operator asked for it by name
};

struct Durable {
  std::map<lease::AccountId, lease::Account> accounts;
  std::map<lease::DeviceId, lease::Device> devices;
  std::map<lease::GrantId, lease::Grant> grants;
  std::map<lease::PublicPort, lease::Lease> leases;
  std::map<Place, lease::Quarantine> quarantines;
  std::map<lease::DeviceId, store::WireGuardPeer> peers;
  std::uint32_t generations_used_to = 0;
  std::uint32_t next_id = 1;
  std::uint32_t addresses_used_to = 0;

  // Rests as they must be kept, in true time.
  struct Rest {
    lease::AccountId last_holder{};
    Duration until{};
  };
  std::map<Place, Rest> rests;
  Duration work_began{};      // in true time; what is decided in it counts from then, however slow the disk is
  store::ClockReading clock;  // of the last commit
  Duration lived{};           // and its true time

  // What is held on a host goes on under another name of it.
  void rename(const std::string& from, const std::string& to);
  // Throws Violation when the transaction breaks a promise.
  void commit(const lease::Transaction& transaction, const std::vector<store::WireGuardPeer>& new_peers, const Cause& cause,
              const lease::Policy& policy, const VirtualClock& now);
  // What the store says it holds, with deadlines of this boot, against what it must hold. Takes the deadlines over.
  void compare_loaded(const lease::State& state, const VirtualClock& now);
  // The book against what was committed.
  void compare(const lease::State& state) const;
  lease::State state() const;
  std::map<Place, lease::AccountId> holders() const;
  const lease::Plan* plan_of(lease::AccountId account, const lease::Policy& policy) const;
};

}  // namespace drpf::simulation
