#include "firewall/proxy_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace drpf::firewall {
namespace {

bool is_inside_one(const std::vector<std::optional<Prefix>>& tunnels, const Address& address) {
  return std::any_of(tunnels.begin(), tunnels.end(), [&](const auto& tunnel) { return tunnel && tunnel->contains(address); });
}

// The kernel takes no intervals that overlap.
bool is_inside_another(const std::vector<Prefix>& all, const Prefix& source) {
  return std::any_of(all.begin(), all.end(), [&](const Prefix& other) { return other != source && other.contains(source); });
}

std::string rule_of(const ProxyDoor& proxy, const std::vector<std::optional<Prefix>>& tunnels, Family family) {
  const std::string ip = family == Family::v4 ? "ip" : "ip6";
  std::string sources;
  for (const auto& source : proxy.sources)
    if (source.family() == family && !source.address().is_loopback() && !is_inside_another(proxy.sources, source))
      sources += (sources.empty() ? "" : ", ") + to_string(source);
  std::string listeners;
  for (const auto& listener : proxy.listeners)
    if (listener.address.family() == family && !is_inside_one(tunnels, listener.address) && !listener.address.is_loopback())
      listeners += fmt::format("{}{} . {}", listeners.empty() ? "" : ", ", to_string(listener.address), to_string(listener.port));
  if (sources.empty() || listeners.empty()) return {};
  return fmt::format("{} saddr {{ {} }} {} daddr . tcp dport {{ {} }} accept", ip, sources, ip, listeners);
}

}  // namespace

std::string proxy_ports(const ProxyDoor& proxy, const Prefix& tunnel) {
  std::string ports;
  for (const auto& listener : proxy.listeners)
    if (tunnel.contains(listener.address)) ports += (ports.empty() ? "" : ", ") + to_string(listener.port);
  return ports;
}

std::vector<std::pair<std::string, std::string>> proxy_rules(const ProxyDoor& proxy, const std::vector<std::optional<Prefix>>& tunnels) {
  std::vector<std::pair<std::string, std::string>> rules{{"proxy_local4", rule_of(proxy, tunnels, Family::v4)},
                                                         {"proxy_local6", rule_of(proxy, tunnels, Family::v6)}};
  std::erase_if(rules, [](const auto& rule) { return rule.second.empty(); });
  return rules;
}

}  // namespace drpf::firewall
