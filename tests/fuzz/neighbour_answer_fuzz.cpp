// Any packet as an answer of a neighbour: ARP, and neighbour advertisements behind any IPv6 headers.
#include <cstdlib>

#include "probe/neighbours.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  const ByteView packet(data, size);
  if (const auto answer = probe::read_arp_reply(packet); answer && (!answer->address.is_v4() || (answer->mac[0] & 1) != 0)) std::abort();
  if (const auto answer = probe::read_neighbour_advertisement(packet); answer && (!answer->address.is_v6() || (answer->mac[0] & 1) != 0))
    std::abort();
  return 0;
}
