// Any text is either refused with a message or gives a file that holds what the parser promises.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "protocol/wireguard/wg_quick_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf::protocol::wireguard;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = parse_wg_quick_file(text, "fuzz.conf");
  if (!file) {
    if (file.error().message.empty() || file.error().cure.empty()) std::abort();
    return 0;
  }
  if (file->peers.empty() || file->peers.size() > wg_quick_peers_max || file->addresses.empty()) std::abort();
  for (const auto& address : file->addresses) {
    if (address.length > address.address.bits()) std::abort();
    if (!drpf::parse_prefix(to_string(address))) std::abort();
  }
  for (const auto& peer : file->peers) {
    if (peer.endpoint && !to_string(*peer.endpoint).ends_with(":" + to_string(peer.endpoint->port))) std::abort();
    if (peer.endpoint && (peer.endpoint->port.is_zero() || peer.endpoint->host.empty())) std::abort();
  }
  return 0;
}
