// One way out for raw packets of one family: an interface and a local address. Sends whole batches; receives through a ring that the
// kernel fills (PACKET_RX_RING, TPACKET_V3) behind a filter, from every interface: answers need not come back by the one that the
// questions left by. Knows nothing of what the packets mean.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "core/address.h"
#include "core/bytes.h"
#include "core/result.h"
#include "core/time.h"
#include "system/fd.h"
#include "system/route_lookup.h"

namespace drpf::probe {

struct RawLinkOptions {
  int interface = 0;
  Family family = Family::v4;
  std::uint16_t first_port = 0;  // answers come to these
  std::uint16_t last_port = 0;
  bool every_protocol = false;  // besides TCP, UDP and ICMP; what is sent to `local`
  Address local = {};
  bool through_own_rules = false;  // sent as this machine's other packets are, by its routes and rules
  bool receives = true;            // false: another link of the same local address does it for both
};

// One packet that is to leave. `next_hop` is used on Ethernet, `target` elsewhere.
struct OutgoingPacket {
  std::span<std::uint8_t> frame;  // RawLink::headroom bytes, then the IP packet
  Address target;
  system::MacAddress next_hop{};
};

class RawLink {
 public:
  static constexpr std::size_t headroom = 14;  // an Ethernet header
  static constexpr std::size_t batch_max = 64;
  static constexpr unsigned ring_block_bytes = 1U << 18;
  static constexpr unsigned ring_blocks = 64;
  static constexpr unsigned ring_retire_ms = 2;

  static Result<RawLink> open(const RawLinkOptions& options);
  RawLink(RawLink&& other) noexcept;
  RawLink& operator=(RawLink&&) = delete;
  ~RawLink();

  const system::LinkKind& kind() const { return kind_; }
  int receive_fd() const { return receiver_.get(); }

  struct Sent {
    std::size_t count = 0;  // from the first on
    int error = 0;          // of the one behind them; 0: none
  };
  Sent send(std::span<const OutgoingPacket> packets);

  // Hands over what has come, each beginning with its IP header, with the time of its arrival.
  template <class Take>
  void receive(Take&& take) {
    const auto offset = clock_offset();
    while (const auto* block = ready_block()) {
      each_packet(block, [&](ByteView packet, std::uint64_t realtime_ns) { take(packet, Time(Duration(realtime_ns)) + offset); });
      release_block();
    }
  }
  // Since the last call: packets that came and found no room.
  std::uint64_t take_drops();

 private:
  RawLink() = default;
  static Duration clock_offset();  // of CLOCK_BOOTTIME to CLOCK_REALTIME
  const std::uint8_t* ready_block() const;
  void release_block();
  void each_packet(const std::uint8_t* block, const std::function<void(ByteView, std::uint64_t)>& take) const;

  bool sends_frames() const { return kind_.ethernet && !options_.through_own_rules; }

  system::LinkKind kind_;
  RawLinkOptions options_;
  system::Fd sender_;
  system::Fd receiver_;
  std::uint8_t* ring_ = nullptr;
  unsigned block_ = 0;
};

}  // namespace drpf::probe
