// Any bytes as an SSDP datagram: whatever is answered is at most twice as large, and no answer is a search.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "protocol/upnp/ssdp.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  using namespace drpf::protocol::upnp;
  const std::string_view datagram(reinterpret_cast<const char*>(data), size);
  const auto target = read_search(datagram);
  if (!target) return 0;
  if (size > search_size_max || target->empty()) std::abort();
  std::size_t bytes = 0;
  for (const auto& answer : search_answers(*target, size, Identity{1, 2, 3}, {Address::v4(0x0a4d0001), Port{5351}})) {
    bytes += answer.size();
    if (read_search(answer) || !answer.ends_with("\r\n\r\n") || answer.find("\r\n\r\n") != answer.size() - 4) std::abort();
  }
  if (bytes > amplification_max * size) std::abort();
  return 0;
}
