#include "protocol/ip/splitter.h"

#include <algorithm>
#include <cassert>

#include "protocol/ip/checksum.h"
#include "protocol/ip/wire.h"

namespace drpf::protocol::ip {
namespace {

bool wants_checksum(const OffloadHeader& header) { return (header.flags & OffloadHeader::needs_checksum) != 0; }

}  // namespace

std::optional<Splitter> Splitter::start(const OffloadHeader& raw_header, ByteView bytes) {
  const auto layout = walk(bytes);
  if (!layout) return {};
  const auto packet = bytes.first(layout->length);
  auto header = raw_header;
  const auto type = static_cast<std::uint8_t>(header.gso_type & ~OffloadHeader::gso_ecn);
  header.gso_type = type;
  if (type == OffloadHeader::gso_none) {
    if (wants_checksum(header) && std::size_t{header.checksum_start} + header.checksum_offset + 2 > packet.size()) return {};
    return Splitter(header, packet, *layout, 1);
  }

  const auto protocol = type == OffloadHeader::gso_udp ? protocol_udp : protocol_tcp;
  if (type != OffloadHeader::gso_udp && type != OffloadHeader::gso_tcp4 && type != OffloadHeader::gso_tcp6) return {};
  if (type == OffloadHeader::gso_tcp4 && layout->family != Family::v4) return {};
  if (type == OffloadHeader::gso_tcp6 && layout->family != Family::v6) return {};
  if (header.gso_size == 0 || layout->fragment || layout->protocol != protocol || layout->transport_header == 0) return {};
  if (wants_checksum(header) && header.checksum_start != layout->payload_offset) return {};
  const auto count = std::max<std::size_t>(1, (layout->data_size() + header.gso_size - 1) / header.gso_size);
  return Splitter(header, packet, *layout, count);
}

std::size_t Splitter::data_size() const {
  const auto from = index_ * header_.gso_size;
  return std::min<std::size_t>(header_.gso_size, layout_.data_size() - from);
}

std::size_t Splitter::next_size() const {
  assert(!done());
  return header_.gso_type == OffloadHeader::gso_none ? packet_.size() : layout_.data_offset() + data_size();
}

std::size_t Splitter::size_max() const {
  if (header_.gso_type == OffloadHeader::gso_none) return packet_.size();
  return layout_.data_offset() + std::min<std::size_t>(header_.gso_size, layout_.data_size());
}

std::size_t Splitter::next(MutableByteView out) {
  const auto size = next_size();
  assert(out.size() >= size);
  if (header_.gso_type == OffloadHeader::gso_none)
    write_whole(out.first(size));
  else
    write_segment(out.first(size));
  ++index_;
  return size;
}

// The field already holds the sum of the pseudo header; we add the rest. Zero is written as 0xffff, which is its equal (RFC 768).
void Splitter::write_whole(MutableByteView out) const {
  if (!wants_checksum(header_)) {
    std::copy(packet_.begin(), packet_.end(), out.begin());
    return;
  }
  const auto start = header_.checksum_start;
  std::copy_n(packet_.begin(), start, out.begin());
  const auto checksum = checksum_finish(checksum_copy(packet_.subspan(start), out.subspan(start)));
  store_native<std::uint16_t>(&out[std::size_t{start} + header_.checksum_offset], checksum == 0 ? std::uint16_t{0xffff} : checksum);
}

void Splitter::write_segment(MutableByteView out) const {
  const auto headers = layout_.data_offset();
  const auto from = index_ * header_.gso_size;
  std::copy_n(packet_.begin(), headers, out.begin());
  const auto data_sum = checksum_copy(packet_.subspan(headers + from, out.size() - headers), out.subspan(headers));

  if (layout_.family == Family::v4) {
    store_be16(&out[2], static_cast<std::uint16_t>(out.size()));
    store_be16(&out[4], static_cast<std::uint16_t>(load_be16(&packet_[4]) + index_));
    store_be16(&out[10], 0);
    store_native(&out[10], checksum_finish(checksum_add(out.first(layout_.payload_offset))));
  } else {
    store_be16(&out[4], static_cast<std::uint16_t>(out.size() - ipv6_header_size));
  }

  const auto transport = out.subspan(layout_.payload_offset, layout_.transport_header);
  std::uint16_t checksum_offset = udp_checksum_offset;
  if (layout_.protocol == protocol_tcp) {
    checksum_offset = tcp_checksum_offset;
    store_be32(&transport[4], load_be32(&transport[4]) + static_cast<std::uint32_t>(from));
    auto flags = transport[13];
    if (index_ + 1 < count_) flags &= static_cast<std::uint8_t>(~(tcp_fin | tcp_psh));
    if (index_ > 0) flags &= static_cast<std::uint8_t>(~tcp_cwr);
    transport[13] = flags;
  } else {
    store_be16(&transport[4], static_cast<std::uint16_t>(out.size() - layout_.payload_offset));
  }
  store_be16(&transport[checksum_offset], 0);
  const auto pseudo =
      checksum_pseudo_header(addresses(out), layout_.protocol, static_cast<std::uint32_t>(out.size() - layout_.payload_offset));
  const auto checksum = checksum_finish(add_with_carry(checksum_add(transport, pseudo), data_sum));
  store_native<std::uint16_t>(&transport[checksum_offset],
                              checksum == 0 && layout_.protocol == protocol_udp ? std::uint16_t{0xffff} : checksum);
}

}  // namespace drpf::protocol::ip
