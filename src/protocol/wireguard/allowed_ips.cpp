#include "protocol/wireguard/allowed_ips.h"

#include <algorithm>
#include <bit>

namespace drpf::protocol::wireguard {

void AllowedIpsRoutes::insert(const Prefix& prefix, PeerId peer) {
  const auto [at, fresh] = owners_.try_emplace(prefix, peer);
  if (!fresh && at->second != peer) {
    by_peer_[at->second].erase(prefix);
    at->second = peer;
  }
  by_peer_[peer].insert(prefix);
}

bool AllowedIpsRoutes::remove(const Prefix& prefix, PeerId peer) {
  const auto at = owners_.find(prefix);
  if (at == owners_.end() || at->second != peer) return false;
  owners_.erase(at);
  const auto mine = by_peer_.find(peer);
  mine->second.erase(prefix);
  if (mine->second.empty()) by_peer_.erase(mine);
  return true;
}

void AllowedIpsRoutes::remove_peer(PeerId peer) {
  const auto mine = by_peer_.find(peer);
  if (mine == by_peer_.end()) return;
  for (const auto& prefix : mine->second) owners_.erase(prefix);
  by_peer_.erase(mine);
}

std::vector<Prefix> AllowedIpsRoutes::of_peer(PeerId peer) const {
  const auto mine = by_peer_.find(peer);
  if (mine == by_peer_.end()) return {};
  return {mine->second.begin(), mine->second.end()};
}

AllowedIps::AllowedIps(const AllowedIpsRoutes& routes) {
  const auto hosts = std::count_if(routes.all().begin(), routes.all().end(),
                                   [](const auto& route) { return route.first.family() == Family::v4 && route.first.length() == 32; });
  if (hosts > 0) hosts_.resize(std::bit_ceil(static_cast<std::size_t>(hosts) * 2));
  for (const auto& [prefix, peer] : routes.all()) {
    if (prefix.family() == Family::v6)
      v6_.insert(bits_of(prefix.address().bytes()), prefix.length(), peer);
    else if (prefix.length() == 32)
      insert_host(prefix.address().v4_host_order(), peer);
    else
      v4_.insert(bits_of(prefix.address().bytes()), prefix.length(), peer);
  }
}

std::optional<PeerId> AllowedIps::lookup(const Address& address) const {
  return address.is_v4() ? lookup_v4(address.v4_host_order()) : lookup_v6(address.bytes());
}

std::optional<PeerId> AllowedIps::lookup_v4(std::uint32_t host_order) const {
  if (!hosts_.empty()) {
    const auto& slot = hosts_[host_slot(host_order)];
    if (slot.peer != no_peer) return slot.peer;
  }
  const auto peer = v4_.lookup(Bits{std::uint64_t{host_order} << 32, 0});
  return peer == no_peer ? std::nullopt : std::optional(peer);
}

std::optional<PeerId> AllowedIps::lookup_v6(ByteView address16) const {
  if (address16.size() != 16) return std::nullopt;
  const auto peer = v6_.lookup(bits_of(address16));
  return peer == no_peer ? std::nullopt : std::optional(peer);
}

namespace {

constexpr std::size_t ipv4_header_size = 20;
constexpr std::size_t ipv6_header_size = 40;

}  // namespace

std::optional<PeerId> AllowedIps::lookup_destination(ByteView packet) const {
  if (packet.size() >= ipv4_header_size && packet[0] >> 4 == 4) return lookup_v4(ByteReader(packet.subspan(16, 4)).u32_be());
  if (packet.size() >= ipv6_header_size && packet[0] >> 4 == 6) return lookup_v6(packet.subspan(24, 16));
  return std::nullopt;
}

std::optional<PeerId> AllowedIps::lookup_source(ByteView packet) const {
  if (packet.size() >= ipv4_header_size && packet[0] >> 4 == 4) return lookup_v4(ByteReader(packet.subspan(12, 4)).u32_be());
  if (packet.size() >= ipv6_header_size && packet[0] >> 4 == 6) return lookup_v6(packet.subspan(8, 16));
  return std::nullopt;
}

AllowedIps::Bits AllowedIps::bits_of(ByteView address) {
  ByteReader reader(address);
  if (address.size() == 4) return {std::uint64_t{reader.u32_be()} << 32, 0};
  Bits bits;
  bits.high = reader.u64_be();
  bits.low = reader.u64_be();
  return bits;
}

bool AllowedIps::bit(const Bits& bits, unsigned position) {
  return ((position < 64 ? bits.high >> (63 - position) : bits.low >> (127 - position)) & 1) != 0;
}

unsigned AllowedIps::common_length(const Bits& a, const Bits& b) {
  const auto high = a.high ^ b.high;
  if (high != 0) return static_cast<unsigned>(std::countl_zero(high));
  return 64 + static_cast<unsigned>(std::countl_zero(a.low ^ b.low));
}

AllowedIps::Bits AllowedIps::masked(const Bits& bits, unsigned length) {
  const auto mask = [](unsigned ones) { return ones == 0 ? 0 : ~std::uint64_t{0} << (64 - ones); };
  return {bits.high & mask(std::min(length, 64U)), bits.low & mask(length > 64 ? length - 64 : 0)};
}

// Multiplicative (Fibonacci) hash, then linear probing; the table is at most half full, so there is always a free slot.
std::size_t AllowedIps::host_slot(std::uint32_t address) const {
  const auto mask = hosts_.size() - 1;
  auto position = static_cast<std::size_t>((std::uint64_t{address} * 0x9e3779b97f4a7c15U) >> 32) & mask;
  while (hosts_[position].peer != no_peer && hosts_[position].address != address) position = (position + 1) & mask;
  return position;
}

void AllowedIps::insert_host(std::uint32_t address, PeerId peer) { hosts_[host_slot(address)] = {address, peer}; }

std::uint32_t AllowedIps::Trie::add(const Bits& prefix, unsigned length, PeerId peer) {
  Node node;
  node.prefix = masked(prefix, length);
  node.length = static_cast<std::uint8_t>(length);
  node.peer = peer;
  nodes_.push_back(node);
  return static_cast<std::uint32_t>(nodes_.size() - 1);
}

void AllowedIps::Trie::insert(const Bits& prefix, unsigned length, PeerId peer) {
  // Where the link to the node at hand is kept: the root, or a child of `parent`. By position, for nodes_ moves when it grows.
  std::uint32_t parent = no_node;
  unsigned side = 0;
  const auto link = [&]() -> std::uint32_t& { return parent == no_node ? root_ : nodes_[parent].child[side]; };
  while (true) {
    const auto at = link();
    if (at == no_node) {
      const auto leaf = add(prefix, length, peer);
      link() = leaf;
      return;
    }
    const auto common = std::min({common_length(prefix, nodes_[at].prefix), length, unsigned{nodes_[at].length}});
    if (common == nodes_[at].length) {
      if (common == length) {
        nodes_[at].peer = peer;
        return;
      }
      parent = at;
      side = bit(prefix, common) ? 1 : 0;
      continue;
    }
    // The new prefix leaves the path within this node's run: a node in between, which is the new prefix itself if that ends here.
    const auto fork = add(prefix, common, common == length ? peer : no_peer);
    nodes_[fork].child[bit(nodes_[at].prefix, common) ? 1 : 0] = at;
    link() = fork;
    if (common < length) {
      const auto leaf = add(prefix, length, peer);
      nodes_[fork].child[bit(prefix, common) ? 1 : 0] = leaf;
    }
    return;
  }
}

PeerId AllowedIps::Trie::lookup(const Bits& address) const {
  auto found = no_peer;
  auto at = root_;
  while (at != no_node) {
    const auto& node = nodes_[at];
    if (common_length(address, node.prefix) < node.length) break;
    if (node.peer != no_peer) found = node.peer;
    if (node.length == 128) break;
    at = node.child[bit(address, node.length) ? 1 : 0];
  }
  return found;
}

}  // namespace drpf::protocol::wireguard
