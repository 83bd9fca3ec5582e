// Finds the Ethernet addresses of neighbours by own requests (ARP, RFC 826; neighbour solicitation, RFC 4861), also of those that the
// kernel knows: who answers now is there, and how long it takes tells a device that sleeps. The kernel's table is left alone: it is too
// small for a whole network.
#pragma once

#include <array>
#include <chrono>
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

struct Neighbour {
  system::MacAddress mac{};
  bool answered = true;   // now; an address that was written down by hand, or that the kernel remembers, shows no host
  Duration round_trip{};  // from the first request
};
using Neighbours = std::unordered_map<Address, Neighbour>;

struct NeighbourLink {
  int interface = 0;
  system::MacAddress mac{};
  Address local;  // of the family of those that are asked
};

// Phones and small devices on Wi-Fi sleep: they answer after more than a second, or only what is asked again.
inline constexpr std::array<Duration, 4> neighbour_waits = {std::chrono::milliseconds(200), std::chrono::milliseconds(300),
                                                            std::chrono::milliseconds(500), std::chrono::milliseconds(1200)};
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
