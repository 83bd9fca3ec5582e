// The configuration file of wg-quick(8) as a value. Pure: reads text, resolves no names, runs no hooks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "crypto/secret_key.h"

namespace drpf::protocol::wireguard {

inline constexpr std::size_t wg_quick_file_size_max = 256 * 1024;
inline constexpr std::size_t wg_quick_peers_max = 256;
inline constexpr std::size_t wg_quick_addresses_max = 64;
inline constexpr std::size_t wg_quick_allowed_ips_max = 4096;  // per peer
inline constexpr std::size_t wg_quick_notes_max = 100;

using WireGuardKey = std::array<std::uint8_t, 32>;

// An address together with the length of its network: "10.77.0.2/24". Unlike Prefix it keeps its host bits.
struct InterfaceAddress {
  Address address;
  unsigned length = 32;
  auto operator<=>(const InterfaceAddress&) const = default;
};
std::string to_string(const InterfaceAddress& address);

// Where a peer is reached: a name that is looked up at each connect, or an address literal.
struct PeerHost {
  std::string host;
  Port port;
  auto operator<=>(const PeerHost&) const = default;
};
std::string to_string(const PeerHost& host);

struct WgQuickPeer {
  WireGuardKey public_key{};
  crypto::SecretKey preshared_key;  // zeros = none
  std::vector<Prefix> allowed_ips;
  std::optional<PeerHost> endpoint;
  std::uint16_t keepalive_s = 0;  // 0 = off
  std::size_t line = 0;           // of its [Peer]
};

struct WgQuickFile {
  struct TableAuto {};
  struct TableOff {};
  using Table = std::variant<TableAuto, TableOff, std::uint32_t>;
  struct Note {
    std::size_t line = 0;
    std::string text;
  };

  crypto::SecretKey private_key;
  std::vector<InterfaceAddress> addresses;
  std::vector<Address> dns;
  std::vector<std::string> dns_search;
  std::optional<std::uint16_t> mtu;
  Table table = TableAuto{};
  Port listen_port;  // zero = any
  std::optional<std::uint32_t> firewall_mark;
  std::vector<WgQuickPeer> peers;  // at least one
  bool inbound_only = false;       // the file carries the comment "# drpf: inbound-only"
  std::vector<Note> notes;         // what was read and is not acted upon, e.g. hooks
};

// `name` is what errors call the file. An error's message begins with "name:line: ". Neither it nor a note holds any piece of a key, in
// whatever way the file is damaged: lost line ends, a key under the wrong setting.
Result<WgQuickFile> parse_wg_quick_file(std::string_view text, std::string_view name);

}  // namespace drpf::protocol::wireguard
