// The ports that sshd is configured to listen on, so that the first start of a gateway does not lock its operator out.
#pragma once

#include <string_view>
#include <vector>

#include "core/port.h"

namespace drpf::daemon {

// The `Port` and `ListenAddress host:port` lines of sshd_config(5), those before any Match block. Empty where there are none: sshd then
// listens on 22.
std::vector<Port> parse_ssh_ports(std::string_view sshd_config);

// Of /etc/ssh/sshd_config and sshd_config.d/; 22 where nothing is said.
std::vector<Port> ssh_ports();

}  // namespace drpf::daemon
