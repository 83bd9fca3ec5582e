#include "redirect/lease_elements.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
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
  const auto key = NftData().address(r.public_address).protocol(r.protocol).port(r.public_port);
  return {{v4 ? names::redirect_v4 : names::redirect_v6, key, NftData().address(r.device_address).port(r.device_port)},
          {v4 ? names::inbound_v4 : names::inbound_v6, key, NftData().mark(mark_of(r.generation))}};
}

std::vector<LeaseElement> device_elements(const lease::Redirection& r) {
  const bool v4 = r.device_address.is_v4();
  const auto key = NftData().protocol(r.protocol).address(r.device_address).port(r.device_port);
  return {{v4 ? names::source_v4 : names::source_v6, key, NftData().address(r.public_address).port(r.public_port)},
          {v4 ? names::outbound_v4 : names::outbound_v6, key, NftData().mark(mark_of(r.generation))}};
}

std::uint32_t mark_of(const NftData& value) {
  std::uint32_t mark = 0;
  if (value.bytes().size() == sizeof mark) std::memcpy(&mark, value.bytes().data(), sizeof mark);
  return mark;
}

bool gives_marks(std::string_view set) {
  return set == names::inbound_v4 || set == names::inbound_v6 || set == names::outbound_v4 || set == names::outbound_v6;
}

LeaseElement live_element(lease::Generation generation) { return {names::live, NftData().mark(mark_of(generation)), {}}; }

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
    const auto put = [&](const LeaseElement& element) { out[element.set].push_back({element.key, element.data, left}); };
    for (const auto& element : public_elements(*redirection)) put(element);
    for (const auto& element : device_elements(*redirection)) put(element);
    put(live_element(redirection->generation));
  }
  for (auto& [set, elements] : out) {
    // Of several with one key the first in order stays; the leave to pass lasts as long as the longest that needs it.
    const bool longest = set == names::live;
    std::vector<std::size_t> order(elements.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      if (elements[a].key != elements[b].key) return elements[a].key < elements[b].key;
      return longest && elements[a].timeout > elements[b].timeout;
    });
    std::vector<NftElement> sorted;
    sorted.reserve(elements.size());
    for (const auto index : order)
      if (sorted.empty() || sorted.back().key != elements[index].key) sorted.push_back(elements[index]);
    elements = std::move(sorted);
  }
  return out;
}

}  // namespace drpf::redirect
