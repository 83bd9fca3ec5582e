// The three ranges of port numbers (RFC 6335, section 6) and what the numbers mean that are none: 0, and whatever is above 65535.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/port.h"

namespace drpf::registry {

// System ports need privileges on most systems; dynamic ones are never registered.
enum class PortClass : std::uint8_t { system, user, dynamic };

PortClass class_of(Port port);
PortRange range_of(PortClass port_class);  // 0-1023, 1024-49151, 49152-65535
std::string_view to_string(PortClass port_class);
// In one sentence: who gives these numbers out, and to whom.
std::string_view meaning_of(PortClass port_class);

}  // namespace drpf::registry
