// What each kind of tunnel keeps of devices and of itself: its own records, in tables of its own. A device and its credentials are
// committed together; the rest a kind reads and writes by its own interface, and by no other's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/address.h"
#include "core/bytes.h"
#include "core/result.h"
#include "lease/types.h"

namespace drpf::store {

// What a WireGuard peer needs to come back to after a restart. Keys are raw 32-byte values.
struct WireGuardPeer {
  lease::DeviceId device{};
  std::array<std::uint8_t, 32> public_key{};
  std::array<std::uint8_t, 32> preshared_key{};             // zeros = none
  std::optional<std::array<std::uint8_t, 32>> private_key;  // kept only when drpf generated it, for `device config`
  std::optional<Endpoint> endpoint;                         // last authenticated one
  std::array<std::uint8_t, 12> last_timestamp{};            // greatest TAI64N accepted from it
  bool operator==(const WireGuardPeer&) const = default;
};

struct WireGuardIdentity {
  std::array<std::uint8_t, 32> private_key{};
  std::array<std::uint8_t, 12> timestamp_floor{};  // no initiation of ours was ever stamped above this
  bool operator==(const WireGuardIdentity&) const = default;
};

class WireGuardCredentials {
 public:
  virtual ~WireGuardCredentials() = default;
  virtual Result<std::optional<WireGuardIdentity>> load_wireguard_identity() = 0;
  virtual Status save_wireguard_identity(const WireGuardIdentity& identity) = 0;
  virtual Result<std::vector<WireGuardPeer>> load_wireguard_peers() = 0;
  // Adds or replaces; peers of devices that do not exist are refused, peers of dropped devices go with them.
  virtual Status save_wireguard_peers(const std::vector<WireGuardPeer>& peers) = 0;
};

// The gateway's own certificates for OpenVPN: what devices trust, and what it proves itself by. X.509 and PKCS #8, both DER.
struct OpenVpnIdentity {
  Bytes authority_certificate;
  Bytes authority_key;
  Bytes server_certificate;
  Bytes server_key;
  bool operator==(const OpenVpnIdentity&) const = default;
};

struct OpenVpnDevice {
  lease::DeviceId device{};
  Bytes certificate;
  Bytes private_key;  // for `device config`
  bool operator==(const OpenVpnDevice&) const = default;
};

class OpenVpnCredentials {
 public:
  virtual ~OpenVpnCredentials() = default;
  virtual Result<std::optional<OpenVpnIdentity>> load_openvpn_identity() = 0;
  virtual Status save_openvpn_identity(const OpenVpnIdentity& identity) = 0;
  // Those of dropped devices go with them.
  virtual Result<std::vector<OpenVpnDevice>> load_openvpn_devices() = 0;
};

// Of devices that are committed now. One line for each kind that keeps any; who passes them on looks at none.
struct Credentials {
  std::vector<WireGuardPeer> wireguard;
  std::vector<OpenVpnDevice> openvpn = {};
};

}  // namespace drpf::store
