// The smallest DNS: one question for the addresses of one name, and its answer (RFC 1035, RFC 3596). Codec only; sends nothing, follows no
// referral, believes no record but addresses.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/bytes.h"
#include "core/result.h"

namespace drpf::protocol::dns {

inline constexpr std::size_t answer_addresses_max = 16;
inline constexpr std::size_t message_size_max = 512;  // over UDP without extensions, RFC 1035 section 2.3.4

// A for IPv4, AAAA for IPv6. `invalid` for a name that DNS cannot carry.
Result<Bytes> encode_query(std::uint16_t id, std::string_view name, Family family);

// The addresses in the answer to that query; none is an answer, too. `invalid` for what is not the answer to it, refusal "dns_refused"
// where the server said no (a name that does not exist, above all).
Result<std::vector<Address>> decode_answer(ByteView message, std::uint16_t id, std::string_view name, Family family);

}  // namespace drpf::protocol::dns
