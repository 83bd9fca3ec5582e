// PCP's messages (RFC 6887) with the options that concern a mapping (PREFER_FAILURE, FILTER, THIRD_PARTY; PORT_SET of RFC 7753), read
// and written. What a request means for leases is not decided here. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "core/address.h"
#include "core/bytes.h"
#include "core/port.h"

namespace drpf::protocol::pcp {

constexpr std::uint8_t version = 2;
constexpr std::size_t message_size_max = 1100;  // RFC 6887 section 7
constexpr std::size_t options_max = 16;         // of one request; more is nobody's honest wish

// RFC 6887 section 7.4.
enum class ResultCode : std::uint8_t {
  success = 0,
  unsupported_version = 1,
  not_authorized = 2,
  malformed_request = 3,
  unsupported_opcode = 4,
  unsupported_option = 5,
  malformed_option = 6,
  network_failure = 7,
  no_resources = 8,
  unsupported_protocol = 9,
  user_exceeds_quota = 10,
  cannot_provide_external = 11,
  address_mismatch = 12,
  excessive_remote_peers = 13,
};

using Nonce = std::array<std::uint8_t, 12>;

// Section 13.3: who may use the mapping. A prefix length of 0 removes the filters that were set before.
struct Filter {
  Prefix remote;
  Port remote_port;  // 0 = every port
  bool removes_all = false;
  bool operator==(const Filter&) const = default;
};

// RFC 7753 section 4.1.
struct PortSet {
  std::uint16_t size = 1;
  Port first_internal_port;
  bool parity = false;  // the external port must be even or odd as the internal one is
  bool operator==(const PortSet&) const = default;
};

struct MapRequest {
  Address client;  // as the header says it; the server compares it with the packet's source
  std::uint32_t lifetime_s = 0;
  Nonce nonce{};
  std::uint8_t protocol = 0;  // IANA's number; 0 = every protocol, then internal_port is 0 too
  Port internal_port;
  Port suggested_external_port;
  Address suggested_external_address;
  bool prefer_failure = false;
  std::vector<Filter> filters;
  std::optional<PortSet> port_set;
  bool is_delete() const { return lifetime_s == 0; }
  bool operator==(const MapRequest&) const = default;
};

struct AnnounceRequest {
  Address client;
  bool operator==(const AnnounceRequest&) const = default;
};

// Answered with the request itself, turned into an error response (section 8.2).
struct BadRequest {
  ResultCode code{};
  bool operator==(const BadRequest&) const = default;
};

// Silence: not a request, or too short to be answered.
struct NoRequest {
  bool operator==(const NoRequest&) const = default;
};

using Received = std::variant<NoRequest, BadRequest, AnnounceRequest, MapRequest>;

// The checks of RFC 6887 section 8.2 in its order. THIRD_PARTY is refused as an unsupported option: a mapping is always its sender's own.
Received read_request(ByteView packet);

// What a mapping got. Options that were processed are repeated (section 7.3).
struct MapAnswer {
  std::uint32_t lifetime_s = 0;
  Port external_port;
  Address external_address;
  std::optional<PortSet> port_set;
};
Bytes map_response(const MapRequest& request, std::uint32_t epoch_s, const MapAnswer& answer);
Bytes announce_response(std::uint32_t epoch_s);
// The request's bytes with the response bit, the code, and in the lifetime field how long the error is likely to last.
Bytes error_response(ByteView request, std::uint32_t epoch_s, ResultCode code, std::uint32_t retry_after_s);

// An IPv4 address stands in a 16-byte field as ::ffff:a.b.c.d (section 5).
std::array<std::uint8_t, 16> wire_address(const Address& address);
Address address_from_wire(const std::array<std::uint8_t, 16>& wire);

}  // namespace drpf::protocol::pcp
