// The kernel's WireGuard (linux/wireguard.h), spoken to by generic netlink: keys, peers, and what the kernel knows of them. Makes no link
// and sets no addresses; that is rtnetlink's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "core/time.h"
#include "system/netlink_socket.h"

namespace drpf::system {

using WireGuardKey = std::array<std::uint8_t, 32>;

struct WireGuardPeerChange {
  WireGuardKey public_key{};
  bool must_exist = false;                    // nothing happens where there is no such peer
  std::optional<WireGuardKey> preshared_key;  // zeros = none
  std::optional<Endpoint> endpoint;
  std::optional<std::uint16_t> keepalive_s;        // 0 = off
  std::optional<std::vector<Prefix>> allowed_ips;  // instead of what it had
};

struct WireGuardPeerReport {
  WireGuardKey public_key{};
  std::optional<Endpoint> endpoint;
  std::optional<WallTime> last_handshake;
  std::uint64_t bytes_received = 0;  // that authenticated
  std::uint64_t bytes_sent = 0;
  std::vector<Prefix> allowed_ips;
  bool operator==(const WireGuardPeerReport&) const = default;
};

class WireGuardLink {
 public:
  static constexpr const char* link_kind = "wireguard";
  static constexpr std::size_t allowed_ips_per_message = 500;  // a nested attribute holds 64 KiB

  // not_found "wireguard_unknown" where the kernel has none; there is one after the first link of its kind was made.
  static Result<WireGuardLink> open(std::string interface);

  Status set_device(const WireGuardKey& private_key, Port port);
  Status set_peer(const WireGuardPeerChange& change);
  Status remove_peer(const WireGuardKey& public_key);  // that there is none is fine
  Result<std::vector<WireGuardPeerReport>> peers();
  Result<std::optional<WireGuardKey>> public_key();  // none: it has no key yet

  // One message of a dump. The kernel cuts a peer with many prefixes in several; the parts come one after the other.
  static void read_peers(const NetlinkMessage& message, std::vector<WireGuardPeerReport>& peers);

 private:
  WireGuardLink(NetlinkSocket socket, std::uint16_t family, std::string interface)
      : socket_(std::move(socket)), family_(family), interface_(std::move(interface)) {}
  NetlinkWriter begin(std::uint8_t command, std::uint16_t flags);
  Status send_peer(const WireGuardPeerChange& change, std::uint32_t flags);

  NetlinkSocket socket_;
  std::uint16_t family_ = 0;
  std::string interface_;
};

}  // namespace drpf::system
