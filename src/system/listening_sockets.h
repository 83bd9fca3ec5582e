// The sockets of this network namespace that wait for strangers: TCP listeners and unconnected UDP sockets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"

namespace drpf::system {

struct ListeningSocket {
  Protocol protocol{};
  Endpoint local;  // address unspecified = every address of the host
  auto operator<=>(const ListeningSocket&) const = default;
};

// From /proc/net/{tcp,tcp6,udp,udp6}. A file that is missing (no IPv6) counts as empty.
std::vector<ListeningSocket> listening_sockets();

// One such file's text; lines that cannot be understood are passed over.
std::vector<ListeningSocket> parse_socket_table(std::string_view text, Protocol protocol);

}  // namespace drpf::system
