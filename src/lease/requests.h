// What the lease book is asked for, and how it answers: wishes for ports, the end of mappings, a decision with its value. Decides nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lease/transaction.h"
#include "lease/types.h"

namespace drpf::lease {

// A decision together with what it decided, for the answer.
template <class T>
struct Decided {
  T value;
  Transaction transaction;
};

struct LeaseRequest {
  DeviceId device{};
  std::optional<Port> port;         // the public number wished for; none = the next free one
  std::optional<std::string> host;  // none = the device's usual host
  bool tcp = true;
  bool udp = true;
  std::uint16_t count = 1;         // contiguous ports from `port` on
  std::optional<Port> local_port;  // none = same as the public port; for count > 1 the first of a run
  LeaseKind kind = LeaseKind::fixed;
  std::optional<Duration> lifetime;  // requested leases; none = the plan's
  bool by_administrator = false;     // lifts Plan::port_choice, not quotas and not reserved ports
};

// What a program asks for, by a port-mapping protocol or by the API. One that exists already (same protocol and internal port) is renewed.
struct MappingRequest {
  DeviceId device{};
  Protocol protocol = Protocol::tcp;
  bool both = false;   // the other protocol of the same number as well, or nothing
  Port internal_port;  // with count > 1 the first; zero with to_public_number: a new one each time, known by its public number
  std::optional<Port> suggested_port;
  std::optional<std::string> host;  // none = whichever
  bool only_suggested = false;      // refuse rather than give another number
  std::vector<Port> avoid;          // ports that the device holds and uses as they are
  bool whole = false;               // refuse rather than give fewer
  bool to_public_number = false;    // lead to the device's port of the public number, whatever the internal port
  std::uint16_t count = 1;          // contiguous; fewer are given where there are no more
  Duration lifetime{};              // brought inside the policy's limits
  bool while_connected = false;     // no lifetime
  Door door = Door::nat_pmp;
  Nonce nonce{};
  std::string description;
};

// Which mappings of a device end; what is not given matches everything.
struct MappingEnd {
  DeviceId device{};
  std::optional<Protocol> protocol;
  std::optional<Port> internal_port;
  std::optional<PortRange> public_ports;
  std::optional<std::string> host;  // a number may be held on several
  std::optional<Door> door;
  std::optional<Nonce> nonce;
};

}  // namespace drpf::lease
