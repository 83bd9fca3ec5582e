// The ICMP answer to a packet that does not fit into the path: "fragmentation needed" (RFC 1191) or "packet too big" (RFC 4443).
#pragma once

#include <cstdint>
#include <optional>

#include "core/bytes.h"

namespace drpf::protocol::ip {

inline constexpr std::size_t too_big_quote_max =
    548;  // bytes of the original that are quoted; together within 576 (RFC 1812 section 4.3.2.3)

// `original`: the beginning of the packet, its IP header at least. It comes from the packet's destination, as if answered there.
// None where an answer is not allowed: to ICMP errors, fragments, and senders that are not one host (RFC 1122 section 3.2.2).
std::optional<Bytes> too_big_answer(ByteView original, std::uint32_t mtu);

}  // namespace drpf::protocol::ip
