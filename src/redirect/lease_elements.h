// Which elements of the gateway's maps and sets a redirection is made of. Pure.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"
#include "lease/transaction.h"
#include "system/nft_elements.h"

namespace drpf::redirect {

struct LeaseElement {
  const char* set = nullptr;  // one of firewall::set_names
  system::NftData key;
  system::NftData data;
};

// The mark that the lease's connections carry.
constexpr std::uint32_t mark_of(lease::Generation generation) { return static_cast<std::uint32_t>(generation); }
std::uint32_t mark_of(const system::NftData& value);  // 0 where it is none
// Of the sets that leases are kept in: whether its elements give connections their marks, and count how often.
bool gives_marks(std::string_view set);

// From the public port inwards: the redirect and its generation.
std::vector<LeaseElement> public_elements(const lease::Redirection& redirection);
// From the device's port outwards: the source mapping and its generation. Two leases may lead to one port of a device; what the device
// sends from it can have one public source only, that of the lease that comes first in order.
std::vector<LeaseElement> device_elements(const lease::Redirection& redirection);
// The generation's leave to pass; shared by the IPv4 and the IPv6 side of a lease.
LeaseElement live_element(lease::Generation generation);

bool comes_first(const lease::Redirection& a, const lease::Redirection& b);  // the older generation, then the lower public address and port

// The sets that leases are kept in, for reading them back; the leave to pass is the last.
std::span<const char* const> lease_sets();

// What is left until the deadline, rounded down, so that no lease is longer in the kernel than in the book. Zero or less: it is over.
std::chrono::milliseconds time_left(Time deadline, Time now);

// Everything that the kernel should hold for these redirections. Those that are over are left out.
using DesiredElements = std::map<std::string, std::vector<system::NftElement>>;  // by set; each in the order of its keys, each once
DesiredElements desired_elements(std::span<const lease::Redirection> redirections, Time now);

}  // namespace drpf::redirect
