#include "configuration/configuration.h"

#include <algorithm>
#include <array>

namespace drpf::configuration {

Prefix former_tunnel_v6() { return *parse_prefix("fd77:6472:7066::/64"); }

Prefix own_tunnel_v6(std::span<const std::uint8_t, 32> key_digest) {
  std::array<std::uint8_t, 16> bytes{0xfd};
  std::copy_n(key_digest.begin(), 7, bytes.begin() + 1);  // a global ID of 40 bits and a subnet of 16
  return Prefix(Address::from_bytes(bytes), 64);
}

Configuration default_configuration() {
  Configuration configuration;
  configuration.tunnel_v4 = Prefix(Address::v4(0x0a4d0000), 16);
  configuration.tunnel_v6 = former_tunnel_v6();
  configuration.input_tcp = {Port{22}};
  lease::Plan personal;
  personal.name = "personal";
  lease::Plan business;
  business.name = "business";
  business.ports_max = 1000;
  business.port_choice = true;
  configuration.plans = {personal, business};
  return configuration;
}

}  // namespace drpf::configuration
