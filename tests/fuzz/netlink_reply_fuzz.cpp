// What the kernel answers: datagrams of messages, read by every parser that we have for them.
#include <cstdint>
#include <vector>

#include "system/conntrack.h"
#include "system/kernel_events.h"
#include "system/netlink_message.h"
#include "system/nft_elements.h"
#include "system/wireguard_link.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf::system;
  NetlinkMessages messages({data, size});
  std::vector<WireGuardPeerReport> peers;
  while (const auto message = messages.next()) {
    read_answer(*message);
    parse_ruleset_author(*message);
    tells_of_network_change(*message);
    parse_elements(*message);
    parse_counted(*message);
    WireGuardLink::read_peers(*message, peers);
    // What was read can be asked for again, and never as an order to delete everything.
    if (const auto entry = Conntrack::parse_entry(*message)) {
      NetlinkWriter request;
      if (!Conntrack::put_deletion(request, *entry, 1, true)) continue;
      const auto deletion = NetlinkMessages(request.bytes()).next();
      if (!deletion || !find_attribute(deletion->attributes(4), 1)) __builtin_trap();
    }
  }
  return 0;
}
