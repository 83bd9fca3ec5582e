// Networks that devices do not reach through the gateway: they would be asked in the gateway's name, by its own way, things that only its
// neighbours are told. Private, link-local and the like, and where clouds tell a machine its secrets. Pure.
#pragma once

#include <vector>

#include "core/address.h"

namespace drpf::firewall {

std::vector<Prefix> closed_networks(Family family);

// Those that no other one holds, in order: nft takes no two that overlap.
std::vector<Prefix> outermost(std::vector<Prefix> networks);

}  // namespace drpf::firewall
