// Any text on the control socket: understood or refused, and what is understood stays within the limits.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "protocol/wireguard/control_request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf::protocol::wireguard;
  const auto request = parse_control_request({reinterpret_cast<const char*>(data), size});
  if (!request) {
    if (request.error().message.empty()) std::abort();
    return 0;
  }
  if (const auto* const set = std::get_if<ControlSet>(&*request))
    if (set->peers.size() > control_peers_max) std::abort();
  return 0;
}
