#include "system/wireguard_link.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "system/udp_socket.h"

namespace drpf::system {
namespace {

constexpr std::size_t generic_header_size = sizeof(genlmsghdr);

std::array<std::uint8_t, generic_header_size> generic_header(std::uint8_t command, std::uint8_t version) {
  return {command, version, 0, 0};
}

std::optional<Endpoint> read_socket_address(ByteView bytes) {
  sockaddr_storage storage{};
  if (bytes.size() != sizeof(sockaddr_in) && bytes.size() != sizeof(sockaddr_in6)) return std::nullopt;
  std::memcpy(&storage, bytes.data(), bytes.size());
  return from_socket_address(storage);
}

// struct __kernel_timespec; zero means never.
std::optional<WallTime> read_time(ByteView bytes) {
  std::array<std::int64_t, 2> parts{};
  if (bytes.size() != sizeof parts) return std::nullopt;
  std::memcpy(parts.data(), bytes.data(), sizeof parts);
  constexpr std::int64_t seconds_max = std::int64_t{1} << 33;  // what nanoseconds in 64 bits can tell
  if (parts[0] <= 0 || parts[0] > seconds_max) return std::nullopt;
  return WallTime(std::chrono::seconds(parts[0]) + std::chrono::nanoseconds(std::clamp<std::int64_t>(parts[1], 0, 999'999'999)));
}

std::uint64_t read_count(ByteView bytes) {
  std::uint64_t count = 0;
  if (bytes.size() == sizeof count) std::memcpy(&count, bytes.data(), sizeof count);
  return count;
}

std::optional<Prefix> read_allowed_ip(ByteView attributes) {
  const auto address = find_attribute(attributes, WGALLOWEDIP_A_IPADDR);
  const auto length = find_attribute(attributes, WGALLOWEDIP_A_CIDR_MASK);
  if (!address || !length || (address->payload.size() != 4 && address->payload.size() != 16)) return std::nullopt;
  const auto value = Address::from_bytes(address->payload);
  if (length->u8() > value.bits()) return std::nullopt;
  return Prefix(value, length->u8());
}

std::optional<WireGuardPeerReport> read_peer(ByteView attributes) {
  WireGuardPeerReport peer;
  bool named = false;
  NetlinkAttributes walk(attributes);
  while (const auto attribute = walk.next()) {
    switch (attribute->type) {
      case WGPEER_A_PUBLIC_KEY:
        if (attribute->payload.size() != peer.public_key.size()) return std::nullopt;
        std::copy(attribute->payload.begin(), attribute->payload.end(), peer.public_key.begin());
        named = true;
        break;
      case WGPEER_A_ENDPOINT:
        peer.endpoint = read_socket_address(attribute->payload);
        break;
      case WGPEER_A_LAST_HANDSHAKE_TIME:
        peer.last_handshake = read_time(attribute->payload);
        break;
      case WGPEER_A_RX_BYTES:
        peer.bytes_received = read_count(attribute->payload);
        break;
      case WGPEER_A_TX_BYTES:
        peer.bytes_sent = read_count(attribute->payload);
        break;
      case WGPEER_A_ALLOWEDIPS: {
        NetlinkAttributes prefixes(attribute->payload);
        while (const auto one = prefixes.next())
          if (const auto prefix = read_allowed_ip(one->payload)) peer.allowed_ips.push_back(*prefix);
        break;
      }
      default:
        break;
    }
  }
  if (!named) return std::nullopt;
  return peer;
}

void put_allowed_ips(NetlinkWriter& message, std::span<const Prefix> prefixes) {
  const auto list = message.open(WGPEER_A_ALLOWEDIPS);
  for (const auto& prefix : prefixes) {
    const auto one = message.open(0);
    message.u16(WGALLOWEDIP_A_FAMILY, prefix.family() == Family::v4 ? AF_INET : AF_INET6);
    message.attribute(WGALLOWEDIP_A_IPADDR, prefix.address().bytes());
    message.u8(WGALLOWEDIP_A_CIDR_MASK, static_cast<std::uint8_t>(prefix.length()));
    message.close(one);
  }
  message.close(list);
}

}  // namespace

Result<WireGuardLink> WireGuardLink::open(std::string interface) {
  auto socket = NetlinkSocket::open(NETLINK_GENERIC);
  if (!socket) return fail(socket.error());
  NetlinkWriter message;
  message.message(GENL_ID_CTRL, NLM_F_REQUEST | NLM_F_ACK, socket->next_sequence())
      .header(generic_header(CTRL_CMD_GETFAMILY, 1))
      .text(CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
  std::uint16_t family = 0;
  const auto asked = socket->request(message, "look for the kernel's WireGuard", [&](const NetlinkMessage& reply) {
    if (const auto id = find_attribute(reply.attributes(generic_header_size), CTRL_ATTR_FAMILY_ID)) family = id->u16();
  });
  if (!asked && !is_errno(asked.error(), ENOENT)) return fail(asked.error());
  if (family == 0)
    return fail(
        not_found("wireguard_unknown", "this kernel has no WireGuard", "load its module, or write engine = \"embedded\" in [tunnel]"));
  return WireGuardLink(std::move(*socket), family, std::move(interface));
}

NetlinkWriter WireGuardLink::begin(std::uint8_t command, std::uint16_t flags) {
  NetlinkWriter message;
  message.message(family_, static_cast<std::uint16_t>(NLM_F_REQUEST | flags), socket_.next_sequence())
      .header(generic_header(command, WG_GENL_VERSION))
      .text(WGDEVICE_A_IFNAME, interface_);
  return message;
}

Status WireGuardLink::set_device(const WireGuardKey& private_key, Port port) {
  auto message = begin(WG_CMD_SET_DEVICE, NLM_F_ACK);
  message.attribute(WGDEVICE_A_PRIVATE_KEY, private_key).u16(WGDEVICE_A_LISTEN_PORT, port.value());
  return socket_.request(message, "give " + interface_ + " its WireGuard key and port");
}

Status WireGuardLink::set_peer(const WireGuardPeerChange& change) {
  if (!change.allowed_ips || change.allowed_ips->size() <= allowed_ips_per_message) return send_peer(change, 0);
  const std::span<const Prefix> all(*change.allowed_ips);
  for (std::size_t first = 0; first < all.size(); first += allowed_ips_per_message) {
    auto part = change;
    const auto prefixes = all.subspan(first, std::min(allowed_ips_per_message, all.size() - first));
    part.allowed_ips.emplace(prefixes.begin(), prefixes.end());
    if (auto sent = send_peer(part, first == 0 ? 0 : WGPEER_F_UPDATE_ONLY); !sent) return sent;
  }
  return {};
}

// `flags` of the parts after the first: they add to its prefixes.
Status WireGuardLink::send_peer(const WireGuardPeerChange& change, std::uint32_t flags) {
  if (change.allowed_ips && flags == 0) flags |= WGPEER_F_REPLACE_ALLOWEDIPS;
  if (change.must_exist) flags |= WGPEER_F_UPDATE_ONLY;
  auto message = begin(WG_CMD_SET_DEVICE, NLM_F_ACK);
  const auto peers = message.open(WGDEVICE_A_PEERS);
  const auto peer = message.open(0);
  message.attribute(WGPEER_A_PUBLIC_KEY, change.public_key).u32(WGPEER_A_FLAGS, flags);
  if (change.preshared_key) message.attribute(WGPEER_A_PRESHARED_KEY, *change.preshared_key);
  if (change.endpoint) {
    const auto address = to_socket_address(*change.endpoint);
    message.attribute(WGPEER_A_ENDPOINT, {reinterpret_cast<const std::uint8_t*>(&address.storage), address.size});
  }
  if (change.keepalive_s) message.u16(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, *change.keepalive_s);
  if (change.allowed_ips) put_allowed_ips(message, *change.allowed_ips);
  message.close(peer);
  message.close(peers);
  return socket_.request(message, "change a peer of " + interface_);
}

Status WireGuardLink::remove_peer(const WireGuardKey& public_key) {
  auto message = begin(WG_CMD_SET_DEVICE, NLM_F_ACK);
  const auto peers = message.open(WGDEVICE_A_PEERS);
  const auto peer = message.open(0);
  message.attribute(WGPEER_A_PUBLIC_KEY, public_key).u32(WGPEER_A_FLAGS, WGPEER_F_REMOVE_ME);
  message.close(peer);
  message.close(peers);
  return socket_.request(message, "remove a peer of " + interface_);
}

Result<std::vector<WireGuardPeerReport>> WireGuardLink::peers() {
  std::vector<WireGuardPeerReport> peers;
  auto message = begin(WG_CMD_GET_DEVICE, NLM_F_DUMP);
  // That a peer came or went meanwhile does no harm: the next look shows it.
  const auto read =
      socket_.dump(message, "read the peers of " + interface_, [&](const NetlinkMessage& reply) { read_peers(reply, peers); });
  if (!read) return fail(read.error());
  return peers;
}

Result<std::optional<WireGuardKey>> WireGuardLink::public_key() {
  std::optional<WireGuardKey> key;
  auto message = begin(WG_CMD_GET_DEVICE, NLM_F_DUMP);
  const auto read = socket_.dump(message, "read the public key of " + interface_, [&](const NetlinkMessage& reply) {
    const auto found = find_attribute(reply.attributes(generic_header_size), WGDEVICE_A_PUBLIC_KEY);
    if (!found || found->payload.size() != WireGuardKey{}.size()) return;
    std::copy(found->payload.begin(), found->payload.end(), key.emplace().begin());
  });
  if (!read) return fail(read.error());
  return key;
}

void WireGuardLink::read_peers(const NetlinkMessage& message, std::vector<WireGuardPeerReport>& peers) {
  NetlinkAttributes walk(message.attributes(generic_header_size));
  while (const auto attribute = walk.next()) {
    if (attribute->type != WGDEVICE_A_PEERS) continue;
    NetlinkAttributes list(attribute->payload);
    while (const auto one = list.next()) {
      auto peer = read_peer(one->payload);
      if (!peer) continue;
      if (!peers.empty() && peers.back().public_key == peer->public_key)
        peers.back().allowed_ips.insert(peers.back().allowed_ips.end(), peer->allowed_ips.begin(), peer->allowed_ips.end());
      else
        peers.push_back(std::move(*peer));
    }
  }
}

}  // namespace drpf::system
