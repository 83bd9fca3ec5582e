// Cuts what a TUN device hands over (one packet, or one TSO/USO superpacket) into finished packets, one at a time, each written once into
// the caller's buffer. Keeps a view of the input; holds no memory of its own.
#pragma once

#include <cstdint>
#include <optional>

#include "core/bytes.h"
#include "protocol/ip/offload_header.h"
#include "protocol/ip/packet.h"

namespace drpf::protocol::ip {

class Splitter {
 public:
  // None: header and packet contradict each other, or the packet is malformed.
  static std::optional<Splitter> start(const OffloadHeader& header, ByteView packet);

  bool done() const { return index_ == count_; }
  std::size_t count() const { return count_; }
  // Sizes of the packet that next() writes, and of the largest one of all.
  std::size_t next_size() const;
  std::size_t size_max() const;
  // Writes next_size() bytes; out must hold them.
  std::size_t next(MutableByteView out);

 private:
  Splitter(const OffloadHeader& header, ByteView packet, const Packet& layout, std::size_t count)
      : header_(header), packet_(packet), layout_(layout), count_(count) {}
  std::size_t data_size() const;
  void write_whole(MutableByteView out) const;
  void write_segment(MutableByteView out) const;

  OffloadHeader header_;
  ByteView packet_;
  Packet layout_;
  std::size_t index_ = 0;
  std::size_t count_ = 1;
};

}  // namespace drpf::protocol::ip
