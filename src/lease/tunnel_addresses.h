// The tunnel addresses of devices, as offsets in the tunnel prefix. Both families use the same offset. It keeps no state.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "core/address.h"

namespace drpf::lease {

struct TunnelAddresses {
  Address v4;
  std::optional<Address> v6;
  std::uint32_t offset = 0;
};

// False for x.y.z.0, x.y.z.1 (the gateway) and x.y.z.255 of every /24, and outside the prefix.
bool is_device_offset(const Prefix& v4, std::uint64_t offset);
TunnelAddresses tunnel_addresses_at(const Prefix& v4, const std::optional<Prefix>& v6, std::uint32_t offset);
// `address` must be inside.
std::uint32_t tunnel_offset(const Prefix& v4, const Address& address);

// The place that `address` has in a prefix of v4's length: its last bits, whatever prefix it was given from.
std::uint32_t same_place(const Prefix& v4, const Address& address);

// The next one after `used_to`, round the prefix, that is not taken: an address comes back only after all others had their turn.
std::optional<TunnelAddresses> next_tunnel_addresses(const Prefix& v4, const std::optional<Prefix>& v6, std::uint32_t used_to,
                                                     const std::function<bool(const Address&)>& is_taken);

}  // namespace drpf::lease
