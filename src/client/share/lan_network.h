// The network that is shared, as one look at its interface saw it. A value; looks at nothing itself.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "core/address.h"

namespace drpf::client {

struct LanNetwork {
  unsigned index = 0;                           // of the interface; 0 = it is not there, or down
  std::vector<std::pair<Address, Prefix>> own;  // this machine's IPv4 addresses there, each with its network
  bool operator==(const LanNetwork&) const = default;

  bool is_usable() const { return index != 0 && !own.empty(); }
  // An address of a machine in one of the networks: not this machine's, nor a network's own or its broadcast address.
  bool is_neighbour(const Address& address) const;
  // Our address as this neighbour has it.
  Address own_address(const Address& neighbour) const;
  // Whether `outer` is one of ours there. Then our own way outside leads through the shared network, and its machines have another router.
  bool has(const std::optional<Address>& outer) const;
  std::vector<Prefix> networks() const;
};

}  // namespace drpf::client
