// Which free ports a device gets when it names none. Deterministic: the same book and device give the same answer. It takes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "lease/tables.h"

namespace drpf::lease {

struct PortChoice {
  std::string host;
  PortRange ports;
};

// The host of the device's oldest grant; for a device without one the host with the most free ports.
std::string usual_host(const Tables& tables, const DeviceEntry& device);

// `count` contiguous ports on `host`, or on any host. First what rests in quarantine from the same account, then from a place that
// depends on the device: so a device tends to find its old numbers, and a number that became free is not soon given to another.
Result<PortChoice> choose_ports(const Tables& tables, const DeviceEntry& device, std::uint32_t count, std::optional<std::string_view> host);

}  // namespace drpf::lease
