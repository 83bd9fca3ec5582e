// Which packets out of the TUN device are for a lease that has ended. A value that the sender reads and never changes; pure.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "core/bytes.h"
#include "protocol/ip/packet.h"
#include "protocol/ip/wire.h"
#include "tunnel/tunnel.h"

namespace drpf::tunnel::wireguard {

class ClosedFlows {
 public:
  explicit ClosedFlows(std::vector<ClosedFlow> flows) : flows_(std::move(flows)) { std::sort(flows_.begin(), flows_.end()); }

  // What cannot be told apart goes too: later fragments of the protocol, and ICMP errors, which quote a packet of any flow.
  bool holds(ByteView packet) const {
    const auto layout = protocol::ip::walk(packet);
    if (!layout) return false;
    const auto address = protocol::ip::destination(packet);
    if (is_icmp_error(packet, *layout)) return about(address, std::nullopt);
    const auto protocol = static_cast<Protocol>(layout->protocol);
    if (protocol != Protocol::tcp && protocol != Protocol::udp) return false;
    if (layout->transport_header == 0) return about(address, protocol);
    const Port port(protocol::ip::load_be16(packet.data() + layout->payload_offset + 2));
    return std::binary_search(flows_.begin(), flows_.end(), ClosedFlow{address, protocol, port});
  }
  std::span<const ClosedFlow> flows() const { return flows_; }

 private:
  static bool is_icmp_error(ByteView packet, const protocol::ip::Packet& layout) {
    if (layout.payload_offset >= layout.length) return false;
    const auto type = packet[layout.payload_offset];
    constexpr std::uint8_t informational = 128;  // RFC 4443 section 2.1: errors are below
    if (layout.protocol == protocol::ip::protocol_icmp6 && layout.family == Family::v6) return type < informational;
    // RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem.
    return layout.protocol == protocol::ip::protocol_icmp && layout.family == Family::v4 &&
           (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
  }
  bool about(const Address& address, std::optional<Protocol> protocol) const {
    for (auto flow = std::lower_bound(flows_.begin(), flows_.end(), ClosedFlow{address, {}, {}});
         flow != flows_.end() && flow->device_address == address; ++flow)
      if (!protocol || flow->protocol == *protocol) return true;
    return false;
  }

  std::vector<ClosedFlow> flows_;
};

}  // namespace drpf::tunnel::wireguard
