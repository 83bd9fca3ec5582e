// What a UDP port is asked so that its service answers: requests that change nothing, written from each protocol's own document.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/bytes.h"

namespace drpf::scan {

// The request for the service of this port; empty where none is known. `cookie` fills the fields that an answer repeats.
Bytes udp_payload(std::uint16_t port, std::uint32_t cookie);
bool has_udp_payload(std::uint16_t port);

// Services that answer from another port than the one they were asked at: TFTP (RFC 1350 section 4).
bool answers_from_another_port(std::uint16_t port);
// Services that stay silent to who does not know their keys, however open they are: WireGuard.
bool silent_by_design(std::uint16_t port);

}  // namespace drpf::scan
