// Prefixes given to peers and taken away, then any packet: who is found by its addresses is who a walk over all prefixes finds.
//
// Input: a count, then so many changes (peer, family and action, length, 4 or 16 bytes of address); the rest is the packet.
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "core/bytes.h"
#include "protocol/wireguard/allowed_ips.h"

namespace {

using namespace drpf;
using namespace drpf::protocol::wireguard;

constexpr unsigned peers_max = 8;

Address read_address(ByteReader& input, bool v4) {
  if (v4) return Address::v4(input.u32_be());
  return Address::from_bytes(input.array<16>());
}

std::optional<PeerId> naive(const AllowedIpsRoutes& routes, const Address& address) {
  std::optional<PeerId> best;
  unsigned length = 0;
  for (const auto& [prefix, peer] : routes.all())
    if (prefix.contains(address) && (!best || prefix.length() >= length)) {
      best = peer;
      length = prefix.length();
    }
  return best;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader input(ByteView(data, size));
  AllowedIpsRoutes routes;
  std::vector<Address> seen;
  for (unsigned left = input.u8(); left > 0 && !input.at_end(); --left) {
    const PeerId peer = input.u8() % peers_max;
    const auto action = input.u8();
    const bool v4 = (action & 1U) != 0;
    const unsigned length = input.u8() % (v4 ? 33U : 129U);
    const auto address = read_address(input, v4);
    seen.push_back(address);
    const auto prefix = Prefix(address, length);
    if ((action & 6U) == 2)
      routes.remove(prefix, peer);
    else if ((action & 14U) == 4)
      routes.remove_peer(peer);
    else
      routes.insert(prefix, peer);
  }
  const AllowedIps table(routes);
  for (const auto& address : seen)
    if (table.lookup(address) != naive(routes, address)) std::abort();
  const auto packet = input.rest();
  const auto source = table.lookup_source(packet);
  const auto destination = table.lookup_destination(packet);
  if (packet.size() < 20 && (source || destination)) std::abort();
  if (packet.size() >= 20 && packet[0] >> 4U == 4) {
    if (source != naive(routes, Address::from_bytes(packet.subspan(12, 4)))) std::abort();
    if (destination != naive(routes, Address::from_bytes(packet.subspan(16, 4)))) std::abort();
  }
  return 0;
}
