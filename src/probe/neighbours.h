// Finds the Ethernet addresses of neighbours: the kernel's table first, then own requests (ARP, RFC 826; neighbour solicitation,
// RFC 4861). The kernel's table is left alone: it is too small for a whole network.
#pragma once

#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/address.h"
#include "core/bytes.h"
#include "core/result.h"
#include "core/time.h"
#include "system/route_lookup.h"

namespace drpf::probe {

using Neighbours = std::unordered_map<Address, system::MacAddress>;

struct NeighbourLink {
  int interface = 0;
  system::MacAddress mac{};
  Address local;  // of the family of those that are asked
};

inline constexpr int neighbour_tries = 3;
inline constexpr Duration neighbour_first_wait = std::chrono::milliseconds(150);  // then twice, three times as long
inline constexpr double neighbour_requests_per_second = 10'000;

// Those that do not answer are missing in `found`.
Status resolve_neighbours(const NeighbourLink& link, std::span<const Address> wanted, double rate_max, Neighbours& found,
                          const std::function<bool()>& stop);

// The packets, pure. An ARP packet begins behind the Ethernet header, a solicitation with the IPv6 header.
Bytes arp_request(const NeighbourLink& link, const Address& wanted);
Bytes neighbour_solicitation(const NeighbourLink& link, const Address& wanted);
struct NeighbourAnswer {
  Address address;
  system::MacAddress mac{};
};
std::optional<NeighbourAnswer> read_arp_reply(ByteView packet);
std::optional<NeighbourAnswer> read_neighbour_advertisement(ByteView packet);

}  // namespace drpf::probe
