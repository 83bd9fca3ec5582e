// What a port number means: its range, and the service that is usually found there. Facts only: what may be leased is the lease book's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/port.h"

namespace drpf::registry {

// RFC 6335, section 6. System ports need privileges on most systems; dynamic ones are never registered.
enum class PortClass : std::uint8_t { system, user, dynamic };

PortClass class_of(Port port);
PortRange range_of(PortClass port_class);  // 0-1023, 1024-49151, 49152-65535
std::string_view to_string(PortClass port_class);

struct Service {
  Port port;
  Protocol protocol{};
  std::string_view name;        // what people call it
  std::string_view registered;  // what IANA's registry calls the port; another service where the names do not agree; empty: nothing
  std::string_view note;        // what one should know before opening it
};

// The well-known ones, by port and protocol; not the whole of IANA's registry.
std::span<const Service> services();
const Service* find_service(Port port, Protocol protocol);
// By either name; the lowest port that has it.
std::optional<Port> find_port(std::string_view name, Protocol protocol);

}  // namespace drpf::registry
