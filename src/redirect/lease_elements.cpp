#include "redirect/lease_elements.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "firewall/gateway_ruleset.h"

namespace drpf::redirect {
namespace {

namespace names = firewall::set_names;
using system::NftData;
using system::NftElement;

constexpr std::array<const char*, 9> sets{names::redirect_v4, names::redirect_v6, names::inbound_v4,  names::inbound_v6, names::source_v4,
                                          names::source_v6,   names::outbound_v4, names::outbound_v6, names::live};

}  // namespace

std::vector<LeaseElement> public_elements(const lease::Redirection& r) {
  const bool v4 = r.public_address.is_v4();
  const auto key = NftData().address(r.public_address).protocol(r.protocol).port(r.public_port).bytes();
  return {{v4 ? names::redirect_v4 : names::redirect_v6, key, NftData().address(r.device_address).port(r.device_port).bytes()},
          {v4 ? names::inbound_v4 : names::inbound_v6, key, NftData().mark(mark_of(r.generation)).bytes()}};
}

std::vector<LeaseElement> device_elements(const lease::Redirection& r) {
  const bool v4 = r.device_address.is_v4();
  const auto key = NftData().protocol(r.protocol).address(r.device_address).port(r.device_port).bytes();
  return {{v4 ? names::source_v4 : names::source_v6, key, NftData().address(r.public_address).port(r.public_port).bytes()},
          {v4 ? names::outbound_v4 : names::outbound_v6, key, NftData().mark(mark_of(r.generation)).bytes()}};
}

LeaseElement live_element(lease::Generation generation) { return {names::live, NftData().mark(mark_of(generation)).bytes(), {}}; }

bool comes_first(const lease::Redirection& a, const lease::Redirection& b) {
  return std::tie(a.generation, a.public_address, a.public_port) < std::tie(b.generation, b.public_address, b.public_port);
}

std::span<const char* const> lease_sets() { return sets; }

std::chrono::milliseconds time_left(Time deadline, Time now) { return std::chrono::floor<std::chrono::milliseconds>(deadline - now); }

DesiredElements desired_elements(std::span<const lease::Redirection> redirections, Time now) {
  std::vector<const lease::Redirection*> in_order;
  for (const auto& redirection : redirections)
    if (time_left(redirection.deadline, now).count() > 0) in_order.push_back(&redirection);
  std::sort(in_order.begin(), in_order.end(), [](const auto* a, const auto* b) { return comes_first(*a, *b); });

  DesiredElements out;
  for (const char* set : sets) out[set];
  for (const auto* redirection : in_order) {
    const auto left = time_left(redirection->deadline, now);
    for (auto& element : public_elements(*redirection)) out[element.set][element.key] = {element.key, std::move(element.data), left};
    for (auto& element : device_elements(*redirection))
      out[element.set].try_emplace(element.key, NftElement{element.key, std::move(element.data), left});
    const auto live = live_element(redirection->generation);
    auto& slot = out[live.set][live.key];
    slot = {live.key, {}, std::max(slot.timeout, left)};
  }
  return out;
}

}  // namespace drpf::redirect
