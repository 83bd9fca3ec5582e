// A speaker of WireGuard, by keys: peers go in, connects and disconnects come out. Knows no devices; tunnel/wireguard_devices does.
// Commands never block on the packet threads.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "core/time.h"
#include "tunnel/closed_flow.h"
#include "tunnel/counter.h"

namespace drpf::tunnel {

using Key = std::array<std::uint8_t, 32>;

struct PeerConfig {
  Key public_key{};
  Key preshared_key{};                            // zeros = none
  std::vector<Prefix> allowed_ips;                // for a gateway: the device's tunnel addresses as host prefixes
  std::optional<Endpoint> endpoint;               // where to send first; learned otherwise
  std::uint16_t keepalive_s = 0;                  // persistent keepalive; 0 = off
  std::array<std::uint8_t, 12> last_timestamp{};  // greatest TAI64N accepted from this peer before a restart
};

// Why a peer's handshakes come to nothing, as far as this side can tell.
struct PeerRefusal {
  enum class Why : std::uint8_t {
    old_stamp,     // its clock says less than it has said before
    never_proven,  // it asks again and again, and no packet of it follows our answer
  };
  Why why = Why::old_stamp;
  std::uint32_t times = 0;
  WallTime last{};
  std::array<std::uint8_t, 12> stamp{};  // of the last one that was old
};

// Handshakes that are no peer's.
struct StrangerRefusal {
  enum class Why : std::uint8_t {
    unknown_key,     // no peer has this key
    other_identity,  // meant for another public key than ours
  };
  Why why = Why::unknown_key;
  std::uint64_t times = 0;
  WallTime last{};
  Endpoint from;
  Key public_key{};  // unknown_key: the last one's
};

struct PeerStatus {
  Key public_key{};
  std::optional<Endpoint> endpoint;
  std::optional<WallTime> last_handshake;
  std::optional<Time> last_authenticated;  // last packet of any kind that authenticated
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  std::array<std::uint8_t, 12> last_timestamp{};
  std::optional<PeerRefusal> refused;
};

// Sent from the engine's threads to the control thread, in order per peer.
struct PeerConnected {
  Key public_key;
  Endpoint endpoint;
};  // it is there after being away
struct PeerRoamed {
  Key public_key;
  Endpoint endpoint;
};  // it has moved; the embedded engine tells both once it has answered from there (the kernel's believes every packet)
struct PeerDisconnected {
  Key public_key;
};  // nothing authenticated for 180 s
struct EngineFailed {
  Error error;
};  // it cannot go on
struct InterfaceGone {
  Error error;
};  // somebody has deleted it: nothing passes until there is another one
using Event = std::variant<PeerConnected, PeerRoamed, PeerDisconnected, EngineFailed, InterfaceGone>;

class Tunnel {
 public:
  virtual ~Tunnel() = default;
  virtual std::string_view name() const = 0;              // "embedded WireGuard"
  virtual Status add_peer(const PeerConfig& peer) = 0;    // adds or replaces
  virtual Status remove_peer(const Key& public_key) = 0;  // its sessions end at once
  // PeerConnected and PeerRoamed ask for admission: the engine does not forward packets of that endpoint address before this call.
  virtual void admit(const Key& public_key, const Address& endpoint_address) = 0;
  // The device said good-bye: its session may still carry the answer, but its next handshake is a new PeerConnected.
  virtual void depart(const Key& public_key) = 0;
  // Called after the kernel's rules have stopped these flows, before anybody is told. When it returns well, no packet of them that the
  // rules had let through earlier is still to be sent, to the device or from it. Waits for the packet threads, which never wait for it. For
  // a few hundredths of a second after it nothing reaches these ports of the device, whatever lease it comes by.
  virtual Status fence(std::span<const ClosedFlow> flows) = 0;
  // Start a handshake now (after a restart: to the last known endpoint).
  virtual void initiate(const Key& public_key) = 0;
  virtual std::vector<PeerStatus> status() const = 0;
  virtual std::optional<PeerStatus> status(const Key& public_key) const = 0;
  virtual std::vector<Counter> counters() const = 0;
  virtual std::vector<StrangerRefusal> strangers() const { return {}; }
};

}  // namespace drpf::tunnel
