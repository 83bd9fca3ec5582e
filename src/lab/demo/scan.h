// A port scan as a stranger on the Internet would run it: every port, raw SYNs for TCP, datagrams for UDP. Judges nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "system/process.h"

namespace drpf::lab::demo {

struct Scan {
  std::size_t tried = 0;
  std::set<std::uint16_t> open;                                                // a SYN/ACK; by UDP: a datagram
  std::set<std::uint16_t> refused;                                             // a reset; by UDP: port unreachable
  std::size_t silent() const { return tried - open.size() - refused.size(); }  // of one round
};

// From the network that this process is in. All 65,535 ports.
Result<Scan> scan_udp(const Address& target);

// A scan of all TCP ports again and again, in a child, while something else happens. `source` is the address that this process has in its
// network; needs CAP_NET_RAW.
class ScanWatch {
 public:
  static Result<ScanWatch> start(const Address& target, const Address& source);
  ScanWatch(ScanWatch&& other) noexcept;
  ScanWatch& operator=(ScanWatch&&) = delete;
  ~ScanWatch();

  // Waits until every port was tried once more, the rest of a round that goes on included.
  bool await_round(Duration limit);
  // What all complete rounds found; `tried` counts each probe.
  Scan findings() const;

 private:
  struct Findings;
  ScanWatch(Findings* findings, system::Process child) : findings_(findings), child_(std::move(child)) {}
  Findings* findings_;  // shared with the child
  system::Process child_;
};

}  // namespace drpf::lab::demo
