// Who calls the API, as the door by which he came has made sure: the administrator by the unix socket's mode, a device by the tunnel that
// authenticated its packets. Decides nothing.
#pragma once

#include <optional>
#include <variant>

#include "lease/types.h"
#include "net/http_message.h"

namespace drpf::api {

struct Administrator {
  std::optional<net::LocalPeer> process;  // that opened the socket; for the audit, not to decide by
  bool operator==(const Administrator&) const = default;
};

struct CallingDevice {
  lease::DeviceId id;
  bool operator==(const CallingDevice&) const = default;
};

using Principal = std::variant<Administrator, CallingDevice>;

// May it learn of this device's leases, and that they are?
inline bool may_see(const Principal& principal, lease::DeviceId device) {
  const auto* caller = std::get_if<CallingDevice>(&principal);
  return caller == nullptr || caller->id == device;
}

}  // namespace drpf::api
