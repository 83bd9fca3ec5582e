#include "protocol/pcp/messages.h"

#include <algorithm>

namespace drpf::protocol::pcp {

namespace {

constexpr std::uint8_t response_bit = 0x80;
constexpr std::uint8_t opcode_announce = 0;
constexpr std::uint8_t opcode_map = 1;
constexpr std::size_t header_size = 24;

// Sections 13.1 to 13.3; RFC 7753 section 4.1. From 128 on an option may be left unprocessed (section 7.3).
constexpr std::uint8_t option_third_party = 1;
constexpr std::uint8_t option_prefer_failure = 2;
constexpr std::uint8_t option_filter = 3;
constexpr std::uint8_t option_port_set = 130;
constexpr std::uint8_t option_optional_from = 128;
constexpr std::size_t filter_size = 20;
constexpr std::size_t port_set_size = 5;

constexpr std::array<std::uint8_t, 12> v4_mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

using Code = ResultCode;

// nullopt: malformed.
std::optional<Filter> read_filter(ByteView data) {
  if (data.size() != filter_size) return std::nullopt;
  ByteReader reader(data);
  reader.skip(1);
  const auto length = reader.u8();
  const Port port{reader.u16_be()};
  const auto address = address_from_wire(reader.array<16>());
  if (length > 128) return std::nullopt;
  if (length == 0) return Filter{Prefix(address, 0), port, true};
  // For IPv4 the length counts the 96 bits of the mapping prefix (section 13.3).
  const unsigned skipped = address.is_v4() ? 96 : 0;
  if (length < skipped) return std::nullopt;
  return Filter{Prefix(address, length - skipped), port, false};
}

std::optional<PortSet> read_port_set(ByteView data) {
  if (data.size() != port_set_size) return std::nullopt;
  ByteReader reader(data);
  PortSet set;
  set.size = reader.u16_be();
  set.first_internal_port = Port{reader.u16_be()};
  set.parity = (reader.u8() & 1) != 0;
  if (set.size == 0) return std::nullopt;
  return set;
}

Code read_option(std::uint8_t code, ByteView data, MapRequest& request) {
  switch (code) {
    case option_prefer_failure:
      if (!data.empty() || request.prefer_failure) return Code::malformed_option;  // at most once (section 13.2)
      request.prefer_failure = true;
      return Code::success;
    case option_filter: {
      const auto filter = read_filter(data);
      if (!filter) return Code::malformed_option;
      request.filters.push_back(*filter);
      return Code::success;
    }
    case option_port_set: {
      const auto set = read_port_set(data);
      if (!set || request.port_set) return Code::malformed_option;
      request.port_set = set;
      return Code::success;
    }
    case option_third_party:
      return Code::unsupported_option;
    default:
      return code < option_optional_from ? Code::unsupported_option : Code::success;
  }
}

Code read_options(ByteReader& reader, MapRequest& request) {
  for (std::size_t count = 0; !reader.at_end(); ++count) {
    if (count == options_max) return Code::malformed_request;
    const auto code = reader.u8();
    reader.skip(1);
    const std::size_t size = reader.u16_be();
    const auto data = reader.bytes(size);
    reader.skip((4 - size % 4) % 4);
    if (reader.failed()) return Code::malformed_option;
    if (const auto result = read_option(code, data, request); result != Code::success) return result;
  }
  return Code::success;
}

Received read_map(ByteReader& reader, const Address& client, std::uint32_t lifetime_s) {
  MapRequest request;
  request.client = client;
  request.lifetime_s = lifetime_s;
  request.nonce = reader.array<12>();
  request.protocol = reader.u8();
  reader.skip(3);
  request.internal_port = Port{reader.u16_be()};
  request.suggested_external_port = Port{reader.u16_be()};
  request.suggested_external_address = address_from_wire(reader.array<16>());
  if (reader.failed()) return BadRequest{Code::malformed_request};
  if (request.protocol == 0 && !request.internal_port.is_zero()) return BadRequest{Code::malformed_request};  // section 11.1
  if (const auto result = read_options(reader, request); result != Code::success) return BadRequest{result};
  if (request.port_set && request.internal_port != request.port_set->first_internal_port) return BadRequest{Code::malformed_option};
  return request;
}

ByteWriter response(std::uint8_t opcode, Code code, std::uint32_t lifetime_s, std::uint32_t epoch_s) {
  ByteWriter writer;
  writer.u8(version).u8(static_cast<std::uint8_t>(response_bit | opcode)).u8(0).u8(static_cast<std::uint8_t>(code));
  writer.u32_be(lifetime_s).u32_be(epoch_s).zeros(12);
  return writer;
}

void write_option(ByteWriter& writer, std::uint8_t code, ByteView data) {
  writer.u8(code).u8(0).u16_be(static_cast<std::uint16_t>(data.size())).bytes(data).zeros((4 - data.size() % 4) % 4);
}

void write_filter(ByteWriter& writer, const Filter& filter) {
  const auto& address = filter.remote.address();
  const unsigned length = filter.removes_all ? 0 : filter.remote.length() + (address.is_v4() ? 96 : 0);
  ByteWriter data;
  data.u8(0).u8(static_cast<std::uint8_t>(length)).u16_be(filter.remote_port.value()).bytes(wire_address(address));
  write_option(writer, option_filter, data.view());
}

void write_port_set(ByteWriter& writer, const PortSet& set) {
  ByteWriter data;
  data.u16_be(set.size).u16_be(set.first_internal_port.value()).u8(set.parity ? 1 : 0);
  write_option(writer, option_port_set, data.view());
}

}  // namespace

std::array<std::uint8_t, 16> wire_address(const Address& address) {
  std::array<std::uint8_t, 16> wire{};
  const auto bytes = address.bytes();
  if (address.is_v4()) std::copy(v4_mapped.begin(), v4_mapped.end(), wire.begin());
  std::copy(bytes.begin(), bytes.end(), wire.end() - static_cast<std::ptrdiff_t>(bytes.size()));
  return wire;
}

Address address_from_wire(const std::array<std::uint8_t, 16>& wire) {
  if (std::equal(v4_mapped.begin(), v4_mapped.end(), wire.begin())) return Address::from_bytes(ByteView(wire).subspan(v4_mapped.size()));
  return Address::from_bytes(wire);
}

Received read_request(ByteView packet) {
  // Too short to be answered, or an answer itself (section 8.2, first paragraph).
  if (packet.size() < 2 || (packet[1] & response_bit) != 0) return NoRequest{};
  if (packet[0] != version) return BadRequest{Code::unsupported_version};
  if (packet.size() < header_size || packet.size() > message_size_max || packet.size() % 4 != 0) return BadRequest{Code::malformed_request};
  ByteReader reader(packet);
  reader.skip(1);
  const auto opcode = reader.u8();
  reader.skip(2);
  const auto lifetime_s = reader.u32_be();
  const auto client = address_from_wire(reader.array<16>());
  if (opcode == opcode_map) return read_map(reader, client, lifetime_s);
  if (opcode == opcode_announce) return AnnounceRequest{client};
  return BadRequest{Code::unsupported_opcode};
}

Bytes map_response(const MapRequest& request, std::uint32_t epoch_s, const MapAnswer& answer) {
  auto writer = response(opcode_map, Code::success, answer.lifetime_s, epoch_s);
  writer.bytes(request.nonce).u8(request.protocol).zeros(3);
  writer.u16_be(request.internal_port.value()).u16_be(answer.external_port.value()).bytes(wire_address(answer.external_address));
  if (request.prefer_failure) write_option(writer, option_prefer_failure, {});
  for (const auto& filter : request.filters) write_filter(writer, filter);
  if (answer.port_set) write_port_set(writer, *answer.port_set);
  return writer.take();
}

Bytes announce_response(std::uint32_t epoch_s) { return response(opcode_announce, Code::success, 0, epoch_s).take(); }

Bytes error_response(ByteView request, std::uint32_t epoch_s, Code code, std::uint32_t retry_after_s) {
  const auto opcode = request.size() > 1 ? static_cast<std::uint8_t>(request[1] & ~response_bit) : opcode_announce;
  auto writer = response(opcode, code, retry_after_s, epoch_s);
  // The rest is the request's own, cut or padded to what a message may be (section 8.2).
  if (request.size() > header_size) writer.bytes(request.subspan(header_size, std::min(request.size(), message_size_max) - header_size));
  writer.zeros((4 - writer.size() % 4) % 4);
  return writer.take();
}

}  // namespace drpf::protocol::pcp
