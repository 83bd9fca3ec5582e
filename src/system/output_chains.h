// Which chains of this network namespace may refuse what this machine sends: read from nftables, changes nothing.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "system/netlink_message.h"

namespace drpf::system {

// "inet filter output": filter chains on the hooks output and postrouting that drop by policy or have rules. Needs CAP_NET_ADMIN; knows
// nothing of rules made by the legacy iptables.
Result<std::vector<std::string>> output_chains();

// What one message of the dump says; empty where it is no such chain. Pure.
std::string output_chain_of(const NetlinkMessage& message);

}  // namespace drpf::system
