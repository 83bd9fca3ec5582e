#include "protocol/ip/merger.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "protocol/ip/checksum.h"
#include "protocol/ip/wire.h"

namespace drpf::protocol::ip {
namespace {

bool equal(ByteView a, ByteView b) { return std::memcmp(a.data(), b.data(), a.size()) == 0; }

std::uint32_t sequence_of(ByteView packet, const Packet& layout) { return load_be32(&packet[layout.payload_offset + 4]); }
std::uint8_t flags_of(ByteView packet, const Packet& layout) { return packet[layout.payload_offset + 13]; }

std::uint32_t hash_flow(ByteView packet, const Packet& layout) {
  std::uint64_t hash = layout.protocol;
  const auto mix = [&](std::uint64_t word) { hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL; };
  const auto both = addresses(packet);
  for (std::size_t i = 0; i < both.size(); i += 8) mix(load_native<std::uint64_t>(&both[i]));
  mix(load_native<std::uint32_t>(&packet[layout.payload_offset]));
  return static_cast<std::uint32_t>(hash >> 32);
}

// Merging makes the kernel compute checksums anew; without this look a broken packet would leave with a good one.
bool checksums_hold(ByteView packet, const Packet& layout) {
  if (layout.family == Family::v4 && checksum_fold(checksum_add(packet.first(ipv4_header_size))) != 0xffff) return false;
  const auto transport = packet.subspan(layout.payload_offset);
  const auto pseudo = checksum_pseudo_header(addresses(packet), layout.protocol, static_cast<std::uint32_t>(transport.size()));
  return checksum_fold(checksum_add(transport, pseudo)) == 0xffff;
}

// What must be the same in the IP headers of all segments: all but lengths, identification, checksum.
bool same_ip_header(ByteView a, ByteView b, Family family) {
  if (family == Family::v4)
    return equal(a.first(2), b.first(2)) && equal(a.subspan(6, 4), b.subspan(6, 4)) && equal(a.subspan(12, 8), b.subspan(12, 8));
  return equal(a.first(4), b.first(4)) && equal(a.subspan(6, 34), b.subspan(6, 34));
}

// All but sequence, PSH and checksum; the options included.
bool same_tcp_header(ByteView a, ByteView b) {
  return equal(a.first(4), b.first(4)) && equal(a.subspan(8, 5), b.subspan(8, 5)) && ((a[13] ^ b[13]) & ~tcp_psh) == 0 &&
         equal(a.subspan(14, 2), b.subspan(14, 2)) && equal(a.subspan(18), b.subspan(18, a.size() - 18));
}

}  // namespace

Merger::Merger() : table_(table_size) {
  items_.reserve(packets_max);
  groups_.reserve(packets_max);
  pieces_.reserve(std::max(tcp_segments_max, udp_segments_max));
}

bool Merger::mergeable(ByteView packet, const Packet& layout) const {
  if (!layout.plain_header || layout.fragment || layout.data_size() == 0) return false;
  if (layout.protocol == protocol_tcp) return features_.tcp && (flags_of(packet, layout) & ~tcp_psh) == tcp_ack;
  if (!features_.udp || load_be16(&packet[layout.payload_offset + 4]) != packet.size() - layout.payload_offset) return false;
  return load_native<std::uint16_t>(&packet[layout.payload_offset + 6]) != 0;  // no checksum stays no checksum
}

Merger::TableEntry* Merger::find_flow(ByteView packet, const Packet& layout, std::uint32_t hash) {
  for (std::size_t i = hash % table_size;; i = (i + 1) % table_size) {  // at most packets_max of table_size entries are taken
    auto& entry = table_[i];
    if (entry.batch != batch_) return &entry;
    const auto& group = groups_[entry.group];
    if (group.flow_hash != hash || group.layout.protocol != layout.protocol || group.layout.family != layout.family) continue;
    const ByteView head = items_[group.head].packet;
    if (equal(addresses(head), addresses(packet)) &&
        equal(head.subspan(group.layout.payload_offset, 4), packet.subspan(layout.payload_offset, 4)))
      return &entry;
  }
}

void Merger::add(MutableByteView packet, const Packet& layout) {
  assert(!full() && packet.size() == layout.length);
  const auto index = static_cast<std::uint16_t>(items_.size());
  items_.push_back({packet, none, false});
  Group group{layout, index, index};
  if (layout.transport_header == 0) {  // belongs to no flow that we could reorder
    groups_.push_back(group);
    return;
  }
  group.flow_hash = hash_flow(packet, layout);
  auto* const entry = find_flow(packet, layout, group.flow_hash);
  group.mergeable = mergeable(packet, layout);
  if (entry->batch == batch_ && group.mergeable && join(groups_[entry->group], index, layout)) return;

  group.segment_size = group.data_size = layout.data_size();
  if (layout.protocol == protocol_tcp) {
    group.sequence = sequence_of(packet, layout);
    group.push = group.closed_at_end = (flags_of(packet, layout) & tcp_psh) != 0;
  }
  entry->batch = batch_;
  entry->group = static_cast<std::uint16_t>(groups_.size());
  groups_.push_back(group);
}

Merger::Place Merger::place_in(const Group& group, ByteView packet, const Packet& layout) const {
  const ByteView head = items_[group.head].packet;
  const auto size = layout.data_size();
  const auto& at = layout.payload_offset;
  if (layout.data_offset() != group.layout.data_offset() || !same_ip_header(head, packet, layout.family)) return Place::none;
  if (group.layout.data_offset() + group.data_size + size > length_max) return Place::none;
  if (group.count >= (layout.protocol == protocol_tcp ? tcp_segments_max : udp_segments_max)) return Place::none;

  const bool appendable = !group.closed_at_end && size <= group.segment_size;
  auto place = Place::none;
  if (layout.protocol == protocol_udp) {
    if (appendable) place = Place::append;
  } else {
    if (!same_tcp_header(head.subspan(at, layout.transport_header), packet.subspan(at, layout.transport_header))) return Place::none;
    const auto sequence = sequence_of(packet, layout);
    const bool push = (flags_of(packet, layout) & tcp_psh) != 0;
    if (appendable && sequence == group.sequence + static_cast<std::uint32_t>(group.data_size)) place = Place::append;
    // Before the head only a full segment may stand; a lone head may be the shorter last one.
    const bool fits_before = size == group.segment_size || (group.count == 1 && size > group.segment_size);
    if (fits_before && !push && sequence + static_cast<std::uint32_t>(size) == group.sequence) place = Place::prepend;
  }
  // With DF the identification means nothing (RFC 6864); without it a split must give back what was there.
  if (place != Place::none && layout.family == Family::v4 && (packet[6] & 0x40) == 0) {
    const auto expected = place == Place::append ? load_be16(&head[4]) + group.count : load_be16(&head[4]) - 1;
    if (load_be16(&packet[4]) != static_cast<std::uint16_t>(expected)) return Place::none;
  }
  return place;
}

bool Merger::join(Group& group, std::uint16_t item_index, const Packet& layout) {
  auto& item = items_[item_index];
  if (!group.mergeable) return false;
  const auto place = place_in(group, item.packet, layout);
  if (place == Place::none) return false;
  auto& head = items_[group.head];  // only a lone head can be unchecked
  if (!head.checksum_checked && !checksums_hold(head.packet, group.layout)) {
    group.mergeable = false;
    return false;
  }
  head.checksum_checked = true;
  if (!checksums_hold(item.packet, layout)) return false;
  item.checksum_checked = true;

  const auto size = layout.data_size();
  if (place == Place::append) {
    items_[group.tail].next = item_index;
    group.tail = item_index;
    const bool push = layout.protocol == protocol_tcp && (flags_of(item.packet, layout) & tcp_psh) != 0;
    group.push = group.push || push;
    group.closed_at_end = push || size < group.segment_size;
  } else {
    item.next = group.head;
    group.head = item_index;
    group.sequence -= static_cast<std::uint32_t>(size);
    if (size > group.segment_size) group.closed_at_end = true;
    group.segment_size = size;
  }
  group.data_size += size;
  ++group.count;
  return true;
}

Merger::Output Merger::output(Group& group) {
  pieces_.clear();
  const auto& layout = group.layout;
  const auto packet = items_[group.head].packet;
  pieces_.emplace_back(packet);
  if (group.count == 1) return {{}, pieces_, 1};
  for (auto i = items_[group.head].next; i != none; i = items_[i].next)
    pieces_.emplace_back(items_[i].packet.subspan(layout.data_offset()));

  const auto length = layout.data_offset() + group.data_size;
  const auto transport_length = length - layout.payload_offset;
  if (layout.family == Family::v4) {
    store_be16(&packet[2], static_cast<std::uint16_t>(length));
    store_be16(&packet[10], 0);
    store_native(&packet[10], checksum_finish(checksum_add(packet.first(ipv4_header_size))));
  } else {
    store_be16(&packet[4], static_cast<std::uint16_t>(length - ipv6_header_size));
  }
  OffloadHeader header{.flags = OffloadHeader::needs_checksum,
                       .gso_type = OffloadHeader::gso_udp,
                       .header_length = static_cast<std::uint16_t>(layout.data_offset()),
                       .gso_size = static_cast<std::uint16_t>(group.segment_size),
                       .checksum_start = static_cast<std::uint16_t>(layout.payload_offset),
                       .checksum_offset = udp_checksum_offset};
  const auto transport = packet.subspan(layout.payload_offset);
  if (layout.protocol == protocol_tcp) {
    header.gso_type = layout.family == Family::v4 ? OffloadHeader::gso_tcp4 : OffloadHeader::gso_tcp6;
    header.checksum_offset = tcp_checksum_offset;
    if (group.push) transport[13] |= tcp_psh;
  } else {
    store_be16(&transport[4], static_cast<std::uint16_t>(transport_length));
  }
  // The kernel expects the sum of the pseudo header here, not inverted, and finishes it itself.
  const auto pseudo = checksum_pseudo_header(addresses(packet), layout.protocol, static_cast<std::uint32_t>(transport_length));
  store_native(&transport[header.checksum_offset], checksum_fold(pseudo));
  return {header, pieces_, group.count};
}

void Merger::clear() {
  items_.clear();
  groups_.clear();
  if (++batch_ == 0) {  // after 2^32 batches old entries would look new
    std::fill(table_.begin(), table_.end(), TableEntry{});
    batch_ = 1;
  }
}

}  // namespace drpf::protocol::ip
