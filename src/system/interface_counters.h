// What the kernel counts of an interface, and what can be told by it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace drpf::system {

// Packets that were sent by it, out of the text of /proc/net/dev. Of a TUN device: that were read by whoever has it open.
std::optional<std::uint64_t> packets_sent(std::string_view proc_net_dev, std::string_view interface);

// Returns when whoever has the TUN device open has read what was queued there: it reads no more for a moment, or has read as many packets
// as the queue holds. Within some hundredths of a second.
void wait_until_taken(const std::string& interface);

}  // namespace drpf::system
