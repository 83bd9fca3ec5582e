// What a decision of the lease book changes: records to commit, then redirects to carry out. A value; applied whole or not at all.
// The counters are the book's values after the decision; 0 in a hand-made transaction leaves what is kept unchanged.
#pragma once

#include <variant>
#include <vector>

#include "lease/types.h"

namespace drpf::lease {

struct PutAccount {
  Account account;
};
struct DropAccount {
  AccountId id;
};
struct PutDevice {
  Device device;
};
struct DropDevice {
  DeviceId id;
};
struct PutGrant {
  Grant grant;
};
struct DropGrant {
  GrantId id;
};
struct PutLease {
  Lease lease;
};
struct DropLease {
  PublicPort on;
};
struct PutQuarantine {
  Quarantine quarantine;
};
struct DropQuarantine {
  Quarantine quarantine;
};

using RecordChange =
    std::variant<PutAccount, DropAccount, PutDevice, DropDevice, PutGrant, DropGrant, PutLease, DropLease, PutQuarantine, DropQuarantine>;

// What the kernel must do for one lease on one public address family. The book names hosts; the redirect needs addresses, so they are here.
struct Redirection {
  Generation generation{};
  Protocol protocol{};
  Address public_address;
  Port public_port;
  Address device_address;  // same family as public_address
  Port device_port;
  Time deadline{};
  bool operator==(const Redirection&) const = default;
};

struct Transaction {
  std::vector<RecordChange> records;      // in this order
  std::vector<Redirection> remove;        // first: after these the old flows are cut
  std::vector<Redirection> install;       // then: new activations
  std::vector<Redirection> renew;         // same generation, later deadline
  std::uint32_t generations_used_to = 0;  // highest generation handed out so far; persisted ahead of use
  std::uint32_t next_id = 0;              // next free AccountId/DeviceId/GrantId; persisted
  std::uint32_t addresses_used_to = 0;    // offset in the tunnel prefix of the address given last; persisted

  bool empty() const { return records.empty() && remove.empty() && install.empty() && renew.empty(); }
};

// Everything the store keeps of the book.
struct State {
  std::vector<Account> accounts;
  std::vector<Device> devices;
  std::vector<Grant> grants;
  std::vector<Lease> leases;
  std::vector<Quarantine> quarantines;
  std::uint32_t generations_used_to = 0;
  std::uint32_t next_id = 1;
  std::uint32_t addresses_used_to = 0;
  Time epoch_started{};  // when mappings were last lost: what the port-mapping protocols count their epoch from; may lie before the boot
};

}  // namespace drpf::lease
