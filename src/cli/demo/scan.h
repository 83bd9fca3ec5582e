// A port scan as a stranger on the Internet would run it: every port, raw SYNs for TCP, datagrams for UDP. Judges nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"

namespace drpf::cli::demo {

struct Scan {
  std::size_t tried = 0;
  std::set<std::uint16_t> open;     // a SYN/ACK; by UDP: a datagram
  std::set<std::uint16_t> refused;  // a reset; by UDP: port unreachable
  std::size_t silent() const { return tried - open.size() - refused.size(); }
};

// From the network that this process is in; `source` is the address that it has there. All 65,535 ports; needs CAP_NET_RAW.
Result<Scan> scan_tcp(const Address& target, const Address& source);
Result<Scan> scan_udp(const Address& target);

}  // namespace drpf::cli::demo
