#include "registry/port_registry.h"

#include <algorithm>
#include <utility>

namespace drpf::registry {

namespace {

constexpr Service known[] = {
#include "registry/services.inc"
};

}  // namespace

PortClass class_of(Port port) {
  for (const auto one : {PortClass::system, PortClass::user})
    if (range_of(one).contains(port)) return one;
  return PortClass::dynamic;
}

PortRange range_of(PortClass port_class) {
  switch (port_class) {
    case PortClass::system:
      return PortRange(Port{0}, Port{1023});
    case PortClass::user:
      return PortRange(Port{1024}, Port{49151});
    case PortClass::dynamic:
      break;
  }
  return PortRange(Port{49152}, Port{65535});
}

std::string_view to_string(PortClass port_class) {
  switch (port_class) {
    case PortClass::system:
      return "system";
    case PortClass::user:
      return "user";
    case PortClass::dynamic:
      break;
  }
  return "dynamic";
}

std::span<const Service> services() { return known; }

const Service* find_service(Port port, Protocol protocol) {
  const auto wanted = std::pair(port, protocol);
  const auto* found = std::lower_bound(std::begin(known), std::end(known), wanted,
                                       [](const Service& one, const auto& key) { return std::pair(one.port, one.protocol) < key; });
  return found != std::end(known) && std::pair(found->port, found->protocol) == wanted ? found : nullptr;
}

std::optional<Port> find_port(std::string_view name, Protocol protocol) {
  for (const auto& one : known)
    if (one.protocol == protocol && (one.name == name || one.registered == name)) return one.port;
  return std::nullopt;
}

}  // namespace drpf::registry
