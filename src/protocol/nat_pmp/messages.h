// NAT-PMP's messages (RFC 6886 section 3), read and written. What a request means for leases is not decided here. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "core/address.h"
#include "core/bytes.h"
#include "core/port.h"

namespace drpf::protocol::nat_pmp {

constexpr std::uint8_t version = 0;
constexpr std::size_t request_size_max = 1100;  // one port serves PCP too (RFC 6887 section 7): whatever is longer is not looked at

// RFC 6886 section 3.5.
enum class ResultCode : std::uint16_t {
  success = 0,
  unsupported_version = 1,
  not_authorized = 2,
  network_failure = 3,
  out_of_resources = 4,
  unsupported_opcode = 5,
};

struct ExternalAddressRequest {
  bool operator==(const ExternalAddressRequest&) const = default;
};

// Section 3.3: lifetime 0 deletes; with internal port 0 and external port 0 too, every mapping of that protocol.
struct MapRequest {
  Protocol protocol = Protocol::udp;
  Port internal_port;
  Port suggested_external_port;  // 0 = no wish
  std::uint32_t lifetime_s = 0;  // 7200 is what the RFC recommends to clients
  bool is_delete() const { return lifetime_s == 0; }
  bool is_delete_all() const { return is_delete() && internal_port.is_zero(); }
  bool operator==(const MapRequest&) const = default;
};

// A packet that is answered with an error and nothing else; `opcode` is the request's.
struct BadRequest {
  std::uint8_t opcode = 0;
  ResultCode code{};
  bool operator==(const BadRequest&) const = default;
};

// Silence is the right answer: no request at all (too short, or a response that somebody reflects at us).
struct NoRequest {
  bool operator==(const NoRequest&) const = default;
};

using Received = std::variant<NoRequest, BadRequest, ExternalAddressRequest, MapRequest>;

// Bytes after a complete request are ignored, as deployed clients pad theirs.
Received read_request(ByteView packet);

// `epoch_s`: seconds since the mappings were last lost (section 3.6).
Bytes external_address_response(std::uint32_t epoch_s, const Address& external_v4);
Bytes map_response(const MapRequest& request, std::uint32_t epoch_s, Port external_port, std::uint32_t lifetime_s);
// An error answer repeats the whole request: a client that finds zeros in it gives the mapping up for good.
Bytes map_error(const MapRequest& request, std::uint32_t epoch_s, ResultCode code);
Bytes external_address_error(std::uint32_t epoch_s, ResultCode code);
Bytes error_response(const BadRequest& request, std::uint32_t epoch_s);

}  // namespace drpf::protocol::nat_pmp
