#include "firewall/host/rule_sets.h"

#include <algorithm>
#include <cstdint>
#include <map>

namespace drpf::firewall {
namespace {

constexpr std::size_t comparisons_max = 4'000'000;

}  // namespace

// A network sorts before those that it holds.
std::vector<Prefix> disjoint(std::vector<Prefix> prefixes) {
  std::sort(prefixes.begin(), prefixes.end());
  std::vector<Prefix> out;
  for (const auto& one : prefixes)
    if (out.empty() || !out.back().contains(one)) out.push_back(one);
  return out;
}

std::optional<std::vector<PortsOfNetwork>> disjoint(const std::vector<PortsOfNetwork>& elements) {
  // At each port where something begins or ends the networks that have it are worked out anew.
  std::map<std::uint32_t, std::pair<std::vector<Prefix>, std::vector<Prefix>>> edges;  // those that begin, those that end before
  for (const auto& one : elements) {
    edges[one.ports.first().value()].first.push_back(one.network);
    edges[std::uint32_t{one.ports.last().value()} + 1].second.push_back(one.network);
  }
  std::map<Prefix, std::size_t> here;
  std::map<Prefix, std::uint32_t> open;  // since which port
  std::vector<PortsOfNetwork> out;
  std::size_t compared = 0;
  for (const auto& [port, edge] : edges) {
    for (const auto& network : edge.first) ++here[network];
    for (const auto& network : edge.second)
      if (const auto found = here.find(network); --found->second == 0) here.erase(found);
    compared += here.size();
    if (compared > comparisons_max || out.size() + open.size() > set_elements_max) return std::nullopt;
    std::map<Prefix, std::uint32_t> still_open;
    const Prefix* outer = nullptr;
    for (const auto& [network, count] : here) {
      if (outer && outer->contains(network)) continue;
      outer = &network;
      const auto since = open.find(network);
      still_open.emplace(network, since == open.end() ? port : since->second);
      if (since != open.end()) open.erase(since);
    }
    for (const auto& [network, since] : open)
      out.push_back({network, PortRange(Port{static_cast<std::uint16_t>(since)}, Port{static_cast<std::uint16_t>(port - 1)})});
    open = std::move(still_open);
  }
  if (out.size() > set_elements_max) return std::nullopt;
  return out;
}

}  // namespace drpf::firewall
