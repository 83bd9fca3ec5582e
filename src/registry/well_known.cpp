#include "registry/well_known.h"

#include <algorithm>
#include <iterator>

namespace drpf::registry {

namespace {

using enum Category;
using enum Exposure;

constexpr TransportSet tcp{Transport::tcp};
constexpr TransportSet udp{Transport::udp};
constexpr TransportSet both{Transport::tcp, Transport::udp};

constexpr WellKnown known[] = {
#include "registry/well_known.inc"
};

}  // namespace

std::string_view to_string(Exposure exposure) {
  switch (exposure) {
    case Exposure::ordinary:
      return "ordinary";
    case Exposure::careful:
      return "careful";
    case Exposure::closed:
      break;
  }
  return "keep closed";
}

std::span<const WellKnown> well_known() { return known; }

const WellKnown* find_well_known(Port port, Transport transport) {
  const auto* found =
      std::lower_bound(std::begin(known), std::end(known), port, [](const WellKnown& one, Port wanted) { return one.port < wanted; });
  for (; found != std::end(known) && found->port == port; ++found)
    if (found->transports.contains(transport)) return found;
  return nullptr;
}

}  // namespace drpf::registry
