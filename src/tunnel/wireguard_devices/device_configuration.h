// The wg-quick file that a device is given, as text. Makes no keys and reads no book.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/port.h"

namespace drpf::tunnel::wireguard_devices {

struct DeviceConfiguration {
  std::string account;
  std::string device;
  std::optional<std::array<std::uint8_t, 32>> private_key;  // none: the device keeps its own
  Address tunnel_v4;                                        // of the device
  std::optional<Address> tunnel_v6;
  Address gateway_v4;  // the gateway inside the tunnel
  std::optional<Address> gateway_v6;
  std::uint16_t mtu = 1420;
  std::vector<Address> dns;
  std::array<std::uint8_t, 32> gateway_public_key{};
  std::array<std::uint8_t, 32> preshared_key{};  // zeros = none
  std::string endpoint;                          // "vpn.example.org:51820"
  // The device keeps its own default route; answers to visitors go back through the tunnel. For Linux: wg-quick, ip and nft.
  bool inbound_only = false;
};

std::string to_wg_quick_text(const DeviceConfiguration& configuration);

// A host name or address, with or without a port, as wg-quick wants it: "[2001:db8::1]:51820".
std::string endpoint_text(std::string_view host, Port default_port);

}  // namespace drpf::tunnel::wireguard_devices
