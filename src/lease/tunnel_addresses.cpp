#include "lease/tunnel_addresses.h"

namespace drpf::lease {

namespace {
std::uint64_t size_of(const Prefix& v4) { return std::uint64_t{1} << (32 - v4.length()); }
}  // namespace

bool is_device_offset(const Prefix& v4, std::uint64_t offset) {
  if (offset >= size_of(v4)) return false;
  const auto last_octet = (v4.address().v4_host_order() + offset) & 0xff;
  return last_octet != 0 && last_octet != 1 && last_octet != 255;
}

TunnelAddresses tunnel_addresses_at(const Prefix& v4, const std::optional<Prefix>& v6, std::uint32_t offset) {
  return {v4.nth(offset), v6 ? std::optional(v6->nth(offset)) : std::nullopt, offset};
}

std::uint32_t tunnel_offset(const Prefix& v4, const Address& address) { return address.v4_host_order() - v4.address().v4_host_order(); }

std::uint32_t same_place(const Prefix& v4, const Address& address) {
  return static_cast<std::uint32_t>(address.v4_host_order() & (size_of(v4) - 1));
}

std::optional<TunnelAddresses> next_tunnel_addresses(const Prefix& v4, const std::optional<Prefix>& v6, std::uint32_t used_to,
                                                     const std::function<bool(const Address&)>& is_taken) {
  const auto size = size_of(v4);
  for (std::uint64_t step = 1; step <= size; ++step) {
    const auto offset = static_cast<std::uint32_t>((used_to + step) % size);
    if (is_device_offset(v4, offset) && !is_taken(v4.nth(offset))) return tunnel_addresses_at(v4, v6, offset);
  }
  return std::nullopt;
}

}  // namespace drpf::lease
