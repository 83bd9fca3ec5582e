// What somebody asks about ports: a number, a range, a name or a word. Reads the question; the answers are PortRegistry's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/port.h"
#include "core/result.h"
#include "registry/transport.h"

namespace drpf::registry {

struct PortQuery {
  std::optional<PortRange> ports;  // none: `text` is a name or a word
  std::string text;
  std::optional<Transport> transport;  // "53/udp"; none = all
};

inline constexpr std::size_t port_query_length_max = 64;

// "1720", "6881-6889", "53/udp", "pop3", "mail". A number that is no port is refused with what it may have been meant for.
Result<PortQuery> parse_port_query(std::string_view text);

// Why nothing is ever found at port 0, in one sentence.
inline constexpr std::string_view meaning_of_zero =
    "Reserved, and no port that can be reached: a program that binds to 0 is given a free port by its system, and a request for a mapping "
    "uses it for \"any\". drpf never leases it, and scans it only where it is named.";

}  // namespace drpf::registry
