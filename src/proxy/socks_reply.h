// How SOCKS says what became of a request. Sends nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/socks/socks.h"
#include "proxy/dialer.h"
#include "proxy/host.h"

namespace drpf::proxy {

enum class SocksVersion : std::uint8_t { v4, v5 };

std::string socks_reply(SocksVersion version, protocol::socks::Outcome outcome, const Endpoint& bound);
protocol::socks::Outcome outcome_of(DialTrouble trouble);
// Nothing for what is no host in its plain form.
std::optional<Host> host_of(const protocol::socks::Host& host);

}  // namespace drpf::proxy
