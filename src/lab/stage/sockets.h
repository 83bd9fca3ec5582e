// Requests with a deadline, for the parts of the demo that are no programs of their own.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "system/fd.h"

namespace drpf::lab {

enum class Reach : std::uint8_t { open, refused, silent };
const char* to_string(Reach reach);

// Connects `socket`, which need not live in this process's network; nothing within `limit` is silence.
Reach try_connect(const system::Fd& socket, const Endpoint& to, Duration limit);
// Sends `text` again and again until an answer comes; nothing within `limit` is an error.
Result<std::string> ask_by_udp(const Endpoint& to, const std::string& text, Duration limit);

// A whole IPv4 packet with UDP inside, from whatever source.
std::string udp_packet(const Address& source, const Address& target, Port port, const std::string& text);
// The Internet checksum (RFC 1071) over an even start; `sum` carries on from an earlier part.
std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes, std::uint32_t sum = 0);

}  // namespace drpf::lab
