// Tells the service manager how the daemon is doing, by the datagram protocol of sd_notify(3). Nothing happens without NOTIFY_SOCKET.
#pragma once

#include <optional>
#include <string_view>

#include "core/time.h"

namespace drpf::system {

// `state` is one or more lines such as "READY=1\nSTATUS=serving 12 devices". A lost notification is no error of ours.
void notify_service_manager(std::string_view state);

// How often "WATCHDOG=1" is to be told: a third of what the manager waits for. Nothing where it does not watch this process.
std::optional<Duration> watchdog_interval();

}  // namespace drpf::system
