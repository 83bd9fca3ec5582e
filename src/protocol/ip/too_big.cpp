#include "protocol/ip/too_big.h"

#include <algorithm>

#include "core/address.h"
#include "protocol/ip/checksum.h"
#include "protocol/ip/packet.h"
#include "protocol/ip/wire.h"

namespace drpf::protocol::ip {
namespace {

constexpr std::uint8_t hop_limit = 64;
constexpr std::size_t icmp_header_size = 8;

// An ICMP error must not answer an ICMP error. Where the type is not in the quote, it is taken for one.
bool may_be_icmp_error(ByteView original, std::uint8_t protocol, std::size_t offset) {
  if (protocol != protocol_icmp && protocol != protocol_icmp6) return false;
  if (offset >= original.size()) return true;
  const auto type = original[offset];
  return protocol == protocol_icmp ? type != 8 && type != 0 : type < 128;
}

bool one_host(const Address& address) { return !address.is_unspecified() && !address.is_multicast() && !address.is_loopback(); }

void store_checksum(MutableByteView packet, std::size_t at, std::uint64_t sum) { store_native(&packet[at], checksum_finish(sum)); }

}  // namespace

std::optional<Bytes> too_big_answer(ByteView original, std::uint32_t mtu) {
  if (original.empty()) return {};
  const bool v4 = original[0] >> 4 == 4;
  if (original.size() < (v4 ? ipv4_header_size : ipv6_header_size) || (!v4 && original[0] >> 4 != 6)) return {};
  if (!one_host(source(original)) || destination(original).is_multicast()) return {};
  if (v4 && (load_be16(&original[6]) & 0x1fff) != 0) return {};
  const std::size_t header = v4 ? static_cast<std::size_t>(original[0] & 0x0f) * 4 : ipv6_header_size;
  if (may_be_icmp_error(original, v4 ? original[9] : original[6], header)) return {};

  const auto quote = original.first(std::min(original.size(), too_big_quote_max));
  const auto icmp_size = icmp_header_size + quote.size();
  ByteWriter writer;
  if (v4) {
    writer.u8(0x45)
        .u8(0)
        .u16_be(static_cast<std::uint16_t>(ipv4_header_size + icmp_size))
        .u32_be(0)
        .u8(hop_limit)
        .u8(protocol_icmp)
        .u16_be(0);
    writer.bytes(original.subspan(16, 4)).bytes(original.subspan(12, 4));
    writer.u8(3).u8(4).u16_be(0).u16_be(0).u16_be(static_cast<std::uint16_t>(std::min<std::uint32_t>(mtu, 65535))).bytes(quote);
  } else {
    writer.u32_be(0x60000000).u16_be(static_cast<std::uint16_t>(icmp_size)).u8(protocol_icmp6).u8(hop_limit);
    writer.bytes(original.subspan(24, 16)).bytes(original.subspan(8, 16));
    writer.u8(2).u8(0).u16_be(0).u32_be(mtu).bytes(quote);
  }
  auto packet = writer.take();
  const MutableByteView bytes(packet);
  if (v4) {
    store_checksum(bytes, 10, checksum_add(bytes.first(ipv4_header_size)));
    store_checksum(bytes, ipv4_header_size + 2, checksum_add(bytes.subspan(ipv4_header_size)));
  } else {
    const auto pseudo = checksum_pseudo_header(addresses(bytes), protocol_icmp6, static_cast<std::uint32_t>(icmp_size));
    store_checksum(bytes, ipv6_header_size + 2, checksum_add(bytes.subspan(ipv6_header_size), pseudo));
  }
  return packet;
}

}  // namespace drpf::protocol::ip
