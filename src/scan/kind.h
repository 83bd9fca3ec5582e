// The kinds of scan: what is sent to learn about a port.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/port.h"

namespace drpf::scan {

enum class Kind : std::uint8_t { syn, connect, ack, window, fin, null, xmas, maimon, udp, ip_protocol, idle };

std::span<const Kind> kinds();
std::string_view to_string(Kind kind);  // "syn", "ip-protocol": the name of the option and of the field in JSON
std::optional<Kind> find_kind(std::string_view name);
bool needs_raw_sockets(Kind kind);  // all but connect

// TCP or UDP; none for the IP protocol scan, whose numbers are no ports.
std::optional<Protocol> protocol_of(Kind kind);

}  // namespace drpf::scan
