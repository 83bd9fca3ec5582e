// Whatever comes in by the interface of the gateway's own visits: only an answer to the visit is taken for one, and it is never called more
// than it says.
//
// Input: a byte that chooses family, protocol and what the bytes are laid over (bit 0: IPv6, bit 1: UDP, bits 2 and 3: nothing, the visit
// itself, the same with its ends exchanged, an ICMP error that quotes it); then pieces: a place (2 bytes, big-endian), a length, bytes that
// are put there. A place beyond the end cuts the packet off at that place modulo its size.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "core/bytes.h"
#include "protocol/ip/packet.h"
#include "scan/own/lease_visit.h"

namespace {

using namespace drpf;

void require(bool condition) {
  if (!condition) std::abort();
}

class Fixed final : public Random {
 public:
  void fill(MutableByteView out) override {
    for (auto& byte : out) byte = next_ = static_cast<std::uint8_t>(next_ * 5 + 1);
  }

 private:
  std::uint8_t next_ = 7;
};

Bytes turned(Bytes packet) {
  const bool v4 = packet[0] >> 4 == 4;
  const std::ptrdiff_t size = v4 ? 4 : 16;
  const auto source = packet.begin() + (v4 ? 12 : 8);
  std::swap_ranges(source, source + size, source + size);
  const auto port = packet.begin() + (v4 ? 20 : 40);
  std::swap_ranges(port, port + 2, port + 2);
  return packet;
}

Bytes error_about(const scan::LeaseVisit& visit) {
  const auto quote = visit.packet();
  const bool v4 = quote[0] >> 4 == 4;
  ByteWriter writer;
  if (v4)
    writer.u8(0x45).u8(0).u16_be(static_cast<std::uint16_t>(28 + quote.size())).u32_be(0).u8(64).u8(1).u16_be(0);
  else
    writer.u32_be(0x60000000).u16_be(static_cast<std::uint16_t>(8 + quote.size())).u8(58).u8(64);
  writer.bytes(visit.to().address.bytes()).bytes(visit.from().address.bytes());
  return writer.u8(v4 ? 3 : 1).u8(v4 ? 3 : 4).u16_be(0).u32_be(0).bytes(quote).take();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader reader(ByteView(data, size));
  const auto choice = reader.u8();
  const bool v6 = (choice & 1) != 0;
  Fixed random;
  const scan::LeaseVisit visit((choice & 2) != 0 ? Protocol::udp : Protocol::tcp, *parse_address(v6 ? "2001:db8::77" : "192.0.2.77"),
                               *parse_endpoint(v6 ? "[2001:db8:51::1]:20000" : "198.51.100.1:20000"), Port(8080), random);
  Bytes packet;
  if (((choice >> 2) & 3) == 1) packet = visit.packet();
  if (((choice >> 2) & 3) == 2) packet = turned(visit.packet());
  if (((choice >> 2) & 3) == 3) packet = error_about(visit);
  while (!reader.at_end()) {
    const std::size_t place = reader.u16_be();
    const auto piece = reader.bytes(std::min<std::size_t>(reader.u8(), reader.remaining()));
    if (packet.empty()) {
      packet.assign(piece.begin(), piece.end());
    } else if (place >= packet.size()) {
      packet.resize(place % packet.size());
    } else {
      packet.resize(std::max(packet.size(), place + piece.size()));
      std::copy(piece.begin(), piece.end(), packet.begin() + static_cast<std::ptrdiff_t>(place));
    }
  }
  const auto answer = visit.answer_in(packet);
  if (!answer) return 0;
  require(protocol::ip::destination(packet) == visit.from().address);
  require(answer->state != scan::State::undecided && answer->cause != scan::Cause::none);
  const auto sender = protocol::ip::source(packet);
  require(answer->sender ? *answer->sender == sender && sender != visit.to().address : sender == visit.to().address);
  if (answer->state == scan::State::open) require(!answer->sender);
  return 0;
}
