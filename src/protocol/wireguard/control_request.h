// The text that `wg` speaks with a userspace tunnel over its control socket (https://www.wireguard.com/xplatform/): requests in, answers
// out. Carries nothing out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "crypto/wireguard_primitives.h"

namespace drpf::protocol::wireguard {

inline constexpr std::size_t control_request_max = 4 << 20;  // bytes
inline constexpr std::size_t control_peers_max = 100'000;    // in one request

struct ControlPeer {
  crypto::Key32 public_key{};
  bool remove = false;
  bool update_only = false;
  std::optional<crypto::Key32> preshared_key;
  std::optional<Endpoint> endpoint;
  std::optional<std::uint16_t> keepalive_s;
  bool replace_allowed_ips = false;
  std::vector<Prefix> allowed_ips_add;
  std::vector<Prefix> allowed_ips_remove;
};

struct ControlGet {};
struct ControlSet {
  std::optional<crypto::Key32> private_key;
  std::optional<std::uint16_t> listen_port;
  std::optional<std::uint32_t> fwmark;
  bool replace_peers = false;
  std::vector<ControlPeer> peers;
};
using ControlRequest = std::variant<ControlGet, ControlSet>;

// `text` up to and without the empty line that ends it. Refuses what it does not understand, and says which line.
Result<ControlRequest> parse_control_request(std::string_view text);

struct ControlPeerState {
  crypto::Key32 public_key{};
  crypto::Key32 preshared_key{};
  std::optional<Endpoint> endpoint;
  std::int64_t last_handshake_ns = 0;  // since 1970; 0 = never
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint16_t keepalive_s = 0;
  std::vector<Prefix> allowed_ips;
};
struct ControlState {
  crypto::Key32 private_key{};
  std::uint16_t listen_port = 0;
  std::uint32_t fwmark = 0;
  std::vector<ControlPeerState> peers;
};
// Whole answers, the empty line included. The number is negative, as `wg` expects it.
std::string control_answer(const ControlState& state);
std::string control_answer(int error_number);

}  // namespace drpf::protocol::wireguard
