// Networks and ports of many rules as the elements of one set, none of which overlap: nft takes no others. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "core/address.h"
#include "core/port.h"

namespace drpf::firewall {

// Those that no other one holds, ascending.
std::vector<Prefix> disjoint(std::vector<Prefix> prefixes);

struct PortsOfNetwork {
  Prefix network;
  PortRange ports{Port{1}};
  bool operator==(const PortsOfNetwork&) const = default;
};

inline constexpr std::size_t set_elements_max = 65'536;

// The same pairs of address and port, cut so that no element meets another. Nothing where that takes more than set_elements_max.
std::optional<std::vector<PortsOfNetwork>> disjoint(const std::vector<PortsOfNetwork>& elements);

}  // namespace drpf::firewall
