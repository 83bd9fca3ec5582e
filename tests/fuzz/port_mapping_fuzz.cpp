// Any bytes as a NAT-PMP or PCP request: what is read is written back into an answer of the size that the RFC allows.
#include <cstdint>
#include <cstdlib>

#include "protocol/nat_pmp/messages.h"
#include "protocol/pcp/messages.h"

namespace {

using namespace drpf;

void require(bool holds) {
  if (!holds) std::abort();
}

void nat_pmp(ByteView packet) {
  using namespace protocol::nat_pmp;
  const auto received = read_request(packet);
  if (const auto* request = std::get_if<MapRequest>(&received)) {
    require(map_response(*request, 1, Port{20000}, 60).size() == 16);
    require(map_error(*request, 1, ResultCode::out_of_resources).size() == 16);
    require(!request->is_delete_all() || request->is_delete());
  }
  if (std::holds_alternative<ExternalAddressRequest>(received)) {
    require(external_address_response(1, Address::v4(0xc6336401)).size() == 12);
    require(external_address_error(1, ResultCode::network_failure).size() == 12);
  }
  if (const auto* bad = std::get_if<BadRequest>(&received)) require(error_response(*bad, 1).size() == 8);
}

void pcp(ByteView packet) {
  using namespace protocol::pcp;
  const auto received = read_request(packet);
  if (const auto* request = std::get_if<MapRequest>(&received)) {
    const auto answer = map_response(*request, 1, {60, Port{20000}, Address::v4(0xc6336401), request->port_set});
    require(answer.size() % 4 == 0 && answer.size() <= message_size_max);
    require(request->filters.size() <= options_max);
  }
  if (std::holds_alternative<NoRequest>(received)) return;
  const auto error = error_response(packet, 1, ResultCode::not_authorized, 30);
  require(error.size() % 4 == 0 && error.size() <= message_size_max && (error[1] & 0x80) != 0);
  require(std::holds_alternative<NoRequest>(read_request(error)));  // an answer is never answered
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  nat_pmp({data, size});
  pcp({data, size});
  return 0;
}
