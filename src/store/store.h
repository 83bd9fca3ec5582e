// Where the book and what belongs to it is kept. Everything acknowledged here is there after kill -9 and power loss.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "lease/transaction.h"

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

// A clock reading of both kinds, taken together: deadlines are converted over a reboot by it.
struct ClockReading {
  std::string boot_id;
  Time boot;
  WallTime wall;
};

class Store {
 public:
  virtual ~Store() = default;

  // The book as it was last committed, its deadlines converted to this boot. Where they cannot be placed (other boot and a wall clock
  // that went back), those of leases are in the past, and grace and quarantine times begin again with what was left of them.
  virtual Result<lease::State> load(const ClockReading& now) = 0;
  // All of the transaction or none of it; durable when it returns.
  virtual Status commit(const lease::Transaction& transaction, const ClockReading& now) = 0;

  virtual Result<std::optional<WireGuardIdentity>> load_wireguard_identity() = 0;
  virtual Status save_wireguard_identity(const WireGuardIdentity& identity) = 0;
  virtual Result<std::vector<WireGuardPeer>> load_wireguard_peers() = 0;
  // Adds or replaces; peers of devices that do not exist are refused, peers of dropped devices go with them.
  virtual Status save_wireguard_peers(const std::vector<WireGuardPeer>& peers) = 0;
  // Commits a transaction and peers together (device add).
  virtual Status commit_with_peers(const lease::Transaction& transaction, const std::vector<WireGuardPeer>& peers,
                                   const ClockReading& now) = 0;
};

}  // namespace drpf::store
