// Joins packets of one receive batch into TSO/USO superpackets for a TUN device with IFF_VNET_HDR. Packets stay where they are in the
// caller's buffers (headers of merged ones are rewritten in place); what cannot be merged comes out alone and untouched.
//
// A packet joins only the latest group of its flow, so a flow is never reordered except to mend an order that was already broken.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/bytes.h"
#include "protocol/ip/offload_header.h"
#include "protocol/ip/packet.h"

namespace drpf::protocol::ip {

struct MergeFeatures {
  bool tcp = true;
  bool udp = true;
};

class Merger {
 public:
  static constexpr std::size_t packets_max = 1024;
  static constexpr std::size_t tcp_segments_max = 128;
  static constexpr std::size_t udp_segments_max = 64;  // UDP_MAX_SEGMENTS of older kernels
  static constexpr std::size_t length_max = 65535;

  struct Output {
    OffloadHeader header;
    std::span<const ByteView> pieces;  // the first begins with the headers; valid until the next call
    std::size_t segments = 1;
  };

  Merger();
  void set_features(MergeFeatures features) { features_ = features; }
  bool full() const { return items_.size() == packets_max; }
  bool empty() const { return items_.empty(); }
  // One whole IP packet, trimmed to its own length; not when full(). The bytes must live until after finish().
  void add(MutableByteView packet, const Packet& layout);
  // Hands every group to write(const Output&) in order of first arrival, then forgets all.
  template <class Write>
  void finish(Write&& write) {
    for (std::size_t i = 0; i < groups_.size(); ++i) write(output(groups_[i]));
    clear();
  }

 private:
  static constexpr std::uint16_t none = 0xffff;
  static constexpr std::size_t table_size = 2048;

  struct Item {
    MutableByteView packet;
    std::uint16_t next = none;
    bool checksum_checked = false;
  };
  struct Group {
    Packet layout;  // of the head
    std::uint16_t head = none;
    std::uint16_t tail = none;
    std::uint16_t count = 1;
    std::uint32_t flow_hash = 0;
    std::uint32_t sequence = 0;    // TCP: of the first byte
    std::size_t segment_size = 0;  // data bytes of every segment but the last
    std::size_t data_size = 0;     // of all
    bool mergeable = false;
    bool closed_at_end = false;  // a short segment or PSH ended it: nothing may be appended
    bool push = false;
  };
  struct TableEntry {
    std::uint32_t batch = 0;
    std::uint16_t group = none;
  };
  enum class Place { none, append, prepend };

  bool mergeable(ByteView packet, const Packet& layout) const;
  TableEntry* find_flow(ByteView packet, const Packet& layout, std::uint32_t hash);
  Place place_in(const Group& group, ByteView packet, const Packet& layout) const;
  bool join(Group& group, std::uint16_t item_index, const Packet& layout);
  Output output(Group& group);
  void clear();

  MergeFeatures features_;
  std::vector<Item> items_;
  std::vector<Group> groups_;
  std::vector<TableEntry> table_;
  std::vector<ByteView> pieces_;
  std::uint32_t batch_ = 1;
};

}  // namespace drpf::protocol::ip
