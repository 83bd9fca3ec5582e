// Tells the service manager how the daemon is doing, by the datagram protocol of sd_notify(3). Nothing happens without NOTIFY_SOCKET.
#pragma once

#include <string_view>

namespace drpf::system {

// `state` is one or more lines such as "READY=1\nSTATUS=serving 12 devices". A lost notification is no error of ours.
void notify_service_manager(std::string_view state);

}  // namespace drpf::system
