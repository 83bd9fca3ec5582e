// The TCP connections of this machine that stand, as the first packets that began them; and the one over which somebody types. Looks only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "firewall/host/host_judge.h"

namespace drpf::guard {

inline constexpr std::size_t open_connections_max = 100'000;

// The text of /proc/net/tcp or tcp6: those that stand, none of which is the machine's with itself. A connection to a port on which the
// machine listens came in. The interface is empty.
std::vector<firewall::HostPacket> parse_connections(std::string_view tcp, std::string_view tcp6);

// With the interface that has the machine's own address.
std::vector<firewall::HostPacket> open_connections();

// "CLIENT PORT SERVER PORT", as sshd tells its sessions by SSH_CONNECTION.
std::optional<firewall::HostSession> parse_ssh_connection(std::string_view text);
// Of this process or one that it descends from (sudo takes the variable away); none where the address is not this machine's.
std::optional<firewall::HostSession> typing_session();
// The packet that would begin it.
firewall::HostPacket first_packet(const firewall::HostSession& session);

}  // namespace drpf::guard
