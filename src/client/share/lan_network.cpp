#include "client/share/lan_network.h"

#include <algorithm>

namespace drpf::client {

bool LanNetwork::is_neighbour(const Address& address) const {
  return address.is_v4() && std::any_of(own.begin(), own.end(), [&](const auto& one) {
           const auto& [here, network] = one;
           const bool is_host =
               network.length() >= 31 || (address != network.address() &&
                                          address.v4_host_order() != (network.address().v4_host_order() | 0xffffffffU >> network.length()));
           return network.contains(address) && is_host && address != here;
         });
}

Address LanNetwork::own_address(const Address& neighbour) const {
  for (const auto& [here, network] : own)
    if (network.contains(neighbour)) return here;
  return {};
}

bool LanNetwork::has(const std::optional<Address>& outer) const {
  return outer && std::any_of(own.begin(), own.end(), [&](const auto& one) { return one.first == *outer; });
}

std::vector<Prefix> LanNetwork::networks() const {
  std::vector<Prefix> out;
  for (const auto& [here, network] : own) out.push_back(network);
  return out;
}

}  // namespace drpf::client
