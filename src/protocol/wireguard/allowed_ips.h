// Which peer a tunnel address belongs to: longest prefix over both families. A snapshot never changes; changes go to the routes it is
// built from. It is also the source check: a packet of peer p is good only if lookup(source) == p.
//
// Usage: AllowedIpsRoutes routes; routes.insert(prefix, peer_id); auto snapshot = std::make_shared<const AllowedIps>(routes);
//        if (auto peer = snapshot->lookup_destination(packet)) ...   // allocation-free, any thread
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "core/address.h"
#include "core/bytes.h"

namespace drpf::protocol::wireguard {

using PeerId = std::uint32_t;  // the caller's own numbering
inline constexpr PeerId no_peer = UINT32_MAX;

// The routes as a table that changes: one owner per prefix.
class AllowedIpsRoutes {
 public:
  // Takes the prefix over from another peer if need be.
  void insert(const Prefix& prefix, PeerId peer);
  // Only if it is this peer's; says whether it was.
  bool remove(const Prefix& prefix, PeerId peer);
  void remove_peer(PeerId peer);
  std::vector<Prefix> of_peer(PeerId peer) const;
  const std::map<Prefix, PeerId>& all() const { return owners_; }

 private:
  std::map<Prefix, PeerId> owners_;
  std::unordered_map<PeerId, std::set<Prefix>> by_peer_;
};

class AllowedIps {
 public:
  AllowedIps() = default;
  explicit AllowedIps(const AllowedIpsRoutes& routes);

  std::optional<PeerId> lookup(const Address& address) const;
  std::optional<PeerId> lookup_v4(std::uint32_t host_order) const;
  std::optional<PeerId> lookup_v6(ByteView address16) const;
  // By the addresses in an IP packet's header; none if it is not a whole IPv4 or IPv6 header.
  std::optional<PeerId> lookup_destination(ByteView packet) const;
  std::optional<PeerId> lookup_source(ByteView packet) const;

 private:
  struct Bits {  // an address, left-aligned
    std::uint64_t high = 0;
    std::uint64_t low = 0;
  };
  static constexpr std::uint32_t no_node = UINT32_MAX;
  struct Node {
    Bits prefix;
    std::array<std::uint32_t, 2> child{no_node, no_node};
    PeerId peer = no_peer;
    std::uint8_t length = 0;
  };
  // A binary trie that skips single-child runs; nodes lie in one array and refer to each other by position.
  class Trie {
   public:
    void insert(const Bits& prefix, unsigned length, PeerId peer);
    PeerId lookup(const Bits& address) const;

   private:
    std::uint32_t add(const Bits& prefix, unsigned length, PeerId peer);
    std::vector<Node> nodes_;
    std::uint32_t root_ = no_node;
  };
  struct HostSlot {
    std::uint32_t address = 0;
    PeerId peer = no_peer;
  };

  static bool bit(const Bits& bits, unsigned position);
  static unsigned common_length(const Bits& a, const Bits& b);
  static Bits masked(const Bits& bits, unsigned length);
  static Bits bits_of(ByteView address);
  std::size_t host_slot(std::uint32_t address) const;
  void insert_host(std::uint32_t address, PeerId peer);

  std::vector<HostSlot> hosts_;  // open addressing; the size is a power of two and at least twice the number of entries, or zero
  Trie v4_;
  Trie v6_;
};

}  // namespace drpf::protocol::wireguard
