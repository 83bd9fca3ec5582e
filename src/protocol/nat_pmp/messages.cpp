#include "protocol/nat_pmp/messages.h"

namespace drpf::protocol::nat_pmp {

namespace {

constexpr std::uint8_t opcode_external_address = 0;
constexpr std::uint8_t opcode_map_udp = 1;
constexpr std::uint8_t opcode_map_tcp = 2;
constexpr std::uint8_t response_bit = 0x80;

std::uint8_t opcode_of(Protocol protocol) { return protocol == Protocol::udp ? opcode_map_udp : opcode_map_tcp; }

ByteWriter response(std::uint8_t opcode, ResultCode code, std::uint32_t epoch_s) {
  ByteWriter writer;
  writer.u8(version).u8(static_cast<std::uint8_t>(response_bit | opcode)).u16_be(static_cast<std::uint16_t>(code)).u32_be(epoch_s);
  return writer;
}

}  // namespace

Received read_request(ByteView packet) {
  if (packet.size() > request_size_max) return NoRequest{};
  ByteReader reader(packet);
  const auto sent_version = reader.u8();
  const auto opcode = reader.u8();
  if (reader.failed() || (opcode & response_bit) != 0) return NoRequest{};
  if (sent_version != version) return BadRequest{opcode, ResultCode::unsupported_version};
  if (opcode == opcode_external_address) return ExternalAddressRequest{};
  if (opcode != opcode_map_udp && opcode != opcode_map_tcp) return BadRequest{opcode, ResultCode::unsupported_opcode};
  MapRequest request;
  request.protocol = opcode == opcode_map_udp ? Protocol::udp : Protocol::tcp;
  reader.skip(2);  // reserved, ignored on reception
  request.internal_port = Port{reader.u16_be()};
  request.suggested_external_port = Port{reader.u16_be()};
  request.lifetime_s = reader.u32_be();
  if (reader.failed()) return NoRequest{};
  return request;
}

Bytes external_address_response(std::uint32_t epoch_s, const Address& external_v4) {
  return response(opcode_external_address, ResultCode::success, epoch_s).bytes(external_v4.bytes()).take();
}

Bytes external_address_error(std::uint32_t epoch_s, ResultCode code) {
  return response(opcode_external_address, code, epoch_s).zeros(4).take();
}

Bytes map_response(const MapRequest& request, std::uint32_t epoch_s, Port external_port, std::uint32_t lifetime_s) {
  return response(opcode_of(request.protocol), ResultCode::success, epoch_s)
      .u16_be(request.internal_port.value())
      .u16_be(external_port.value())
      .u32_be(lifetime_s)
      .take();
}

Bytes map_error(const MapRequest& request, std::uint32_t epoch_s, ResultCode code) {
  return response(opcode_of(request.protocol), code, epoch_s)
      .u16_be(request.internal_port.value())
      .u16_be(request.suggested_external_port.value())
      .u32_be(request.lifetime_s)
      .take();
}

Bytes error_response(const BadRequest& request, std::uint32_t epoch_s) { return response(request.opcode, request.code, epoch_s).take(); }

}  // namespace drpf::protocol::nat_pmp
