// Kernel parameters of this network namespace (/proc/sys). Reads and writes one value; decides nothing.
#pragma once

#include <string>
#include <string_view>

#include "core/port.h"
#include "core/result.h"

namespace drpf::system {

// "net.ipv4.ip_forward"; an interface name with a dot is written with a slash instead, as in sysctl(8):
// "net.ipv4.conf.eth0/100.forwarding".
Result<std::string> read_sysctl(std::string_view name);  // without the line end
// Writes only where the value differs, so that a read-only /proc/sys does no harm where nothing is to be changed.
Status write_sysctl(std::string_view name, std::string_view value);

// net.ipv4.ip_local_port_range: the ports that the kernel gives to sockets of this host (both families).
Result<PortRange> read_ephemeral_ports();
Status write_ephemeral_ports(PortRange range);

}  // namespace drpf::system
