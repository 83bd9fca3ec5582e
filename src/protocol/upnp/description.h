// The documents that a UPnP control point reads first: the description of the gateway and of its services. Text only.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/upnp/services.h"

namespace drpf::protocol::upnp {

// Tells one gateway from another, over restarts.
using Identity = std::array<std::uint8_t, 16>;

enum class DeviceKind : std::uint8_t { gateway, wan, wan_connection };

// IGD:1, or IGD:2 with everything that IGD:1 has.
enum class Version : std::uint8_t { v1 = 1, v2 = 2 };

std::string uuid_of(const Identity& identity, DeviceKind kind);
std::string type_of(DeviceKind kind, unsigned version);  // "urn:schemas-upnp-org:device:WANDevice:2"

// Some programs do not take a gateway of version 2 for one.
Version version_for(std::string_view user_agent);

// Every document is under /upnp: the root description there itself.
inline constexpr std::string_view root_path = "/upnp";
std::string device_description(const Identity& identity, Version version);
std::string service_description(const Service& service, Version version);

}  // namespace drpf::protocol::upnp
