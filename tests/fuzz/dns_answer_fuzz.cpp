// Any bytes as a DNS answer: at most so many addresses of the family asked for, and never a read past the end.
#include <cstdint>
#include <cstdlib>

#include "protocol/dns/address_query.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  using namespace drpf::protocol::dns;
  for (const auto family : {Family::v4, Family::v6}) {
    const auto found = decode_answer({data, size}, 0x1a2b, "vpn.example.net", family);
    if (!found) continue;
    if (found->size() > answer_addresses_max) std::abort();
    for (const auto& address : *found) {
      if (address.family() != family) std::abort();
    }
  }
  return 0;
}
