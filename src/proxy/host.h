// What a host in a request may look like: a name, or an address written in the one way that every reader understands. Looks nothing up.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/address.h"

namespace drpf::proxy {

using Host = std::variant<Address, std::string>;  // a name in lower case, without the dot at its end

// "example.org", "192.0.2.1", "[2001:db8::1]"; with `bare_v6` also "2001:db8::1". Nothing for what some take for an address and others do
// not: "127.1", "0x7f000001", "0177.0.0.1", "1.2.3.4.5".
std::optional<Host> parse_host(std::string_view text, bool bare_v6 = false);

std::string to_string(const Host& host);                         // IPv6 without brackets
std::string authority_of(const Host& host, std::uint16_t port);  // "[2001:db8::1]:443"

}  // namespace drpf::proxy
