#include "proxy/listeners.h"

#include <algorithm>

#include <fmt/format.h>

#include "proxy/policy.h"

namespace drpf::proxy {
namespace {

constexpr std::size_t listeners_max = 64;

}  // namespace

Status prove_listeners(const Settings& settings) {
  if (settings.listen.empty())
    return fail(wrong_usage("the proxy has no address to listen on", "name one: drpf proxy --listen 192.168.7.1:3128"));
  if (settings.listen.size() > listeners_max)
    return fail(invalid("too_many_listeners", fmt::format("there are more than {} addresses to listen on", listeners_max), "name fewer"));
  for (const auto& endpoint : settings.listen) {
    if (is_private_listener(endpoint.address)) continue;
    return fail(refusal("listener_not_private",
                        fmt::format("the proxy does not listen on {}: everybody on the Internet could use it there", to_string(endpoint)),
                        "name an address of the local network, like 192.168.7.1:3128"));
  }
  return {};
}

Result<std::vector<Prefix>> sources_of(const Settings& settings, const std::vector<system::InterfaceAddress>& own,
                                       const std::vector<Prefix>& coming) {
  if (!settings.allow.empty()) return settings.allow;
  std::vector<Prefix> sources;
  const auto add = [&](const Prefix& prefix) {
    if (std::find(sources.begin(), sources.end(), prefix) == sources.end()) sources.push_back(prefix);
  };
  for (const auto& endpoint : settings.listen) {
    const auto& address = endpoint.address;
    if (address.is_loopback()) {
      add(address.is_v4() ? *parse_prefix("127.0.0.0/8") : Prefix::host(address));
      continue;
    }
    const auto will_be = std::find_if(coming.begin(), coming.end(), [&](const Prefix& one) { return one.contains(address); });
    if (will_be != coming.end()) {
      add(*will_be);
      continue;
    }
    const auto found = std::find_if(own.begin(), own.end(), [&](const auto& one) { return one.address == address; });
    if (found == own.end())
      return fail(
          unavailable("address_unknown",
                      fmt::format("this host does not have the address {}, so who may use the proxy there is unknown", to_string(address)),
                      "check the address (`ip address`), or say who may: --allow 192.168.7.0/24"));
    add(Prefix(address, found->prefix_length));
  }
  return sources;
}

}  // namespace drpf::proxy
