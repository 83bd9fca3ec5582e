#include "protocol/nat_pmp/server.h"

#include <utility>

namespace drpf::protocol::nat_pmp {

namespace {

// gluetun asks for 56789 and the following, 60 s each, and expects what Proton gives: the public number on its own side too.
constexpr PortRange gluetun_ports{Port{56789}, Port{56792}};
constexpr std::uint32_t gluetun_lifetime_s = 60;

constexpr Port port_for_the_asking{1};  // stands for "whichever" in the book: nobody serves tcpmux

ResultCode result_code(const Error& error) {
  if (error.kind != Error::Kind::refusal) return ResultCode::network_failure;
  if (error.code == "account_suspended" || error.code == "not_connected" || error.code == "nonce_mismatch")
    return ResultCode::not_authorized;
  return ResultCode::out_of_resources;
}

std::uint32_t whole_seconds(Duration duration) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

}  // namespace

bool wants_public_number(const MapRequest& request) {
  return request.internal_port.value() <= 1 || (gluetun_ports.contains(request.internal_port) && request.lifetime_s == gluetun_lifetime_s);
}

void Server::receive(ByteView packet, const Address& source, Reply reply) {
  const auto client = mappings_.client(source);
  if (!client) return;
  const auto received = read_request(packet);
  if (const auto* bad = std::get_if<BadRequest>(&received)) {
    reply(error_response(*bad, mappings_.epoch_s()));
  } else if (std::holds_alternative<ExternalAddressRequest>(received)) {
    reply(client->external_v4 ? external_address_response(mappings_.epoch_s(), *client->external_v4)
                              : external_address_error(mappings_.epoch_s(), ResultCode::network_failure));
  } else if (const auto* request = std::get_if<MapRequest>(&received)) {
    if (request->is_delete())
      answer_delete(*request, source, std::move(reply));
    else
      answer(*request, source, std::move(reply));
  }
}

void Server::answer(const MapRequest& request, const Address& source, Reply reply) {
  port_mapping::Wish wish;
  wish.client = source;
  wish.protocol = request.protocol;
  wish.to_public_number = wants_public_number(request);
  wish.internal_port = request.internal_port.is_zero() ? port_for_the_asking : request.internal_port;
  wish.suggested_port = request.suggested_external_port;
  wish.lifetime = std::chrono::seconds(request.lifetime_s);
  wish.door = port_mapping::Door::nat_pmp;
  mappings_.map(wish, [this, request, reply = std::move(reply)](const Result<std::vector<port_mapping::Mapped>>& mapped) {
    const auto epoch_s = mappings_.epoch_s();
    if (!mapped) return reply(map_error(request, epoch_s, result_code(mapped.error())));
    const auto& first = mapped->front();
    reply(map_response(request, epoch_s, first.external_port, whole_seconds(first.lifetime)));
  });
}

void Server::answer_delete(const MapRequest& request, const Address& source, Reply reply) {
  port_mapping::Ending ending;
  ending.client = source;
  ending.protocol = request.protocol;
  if (!request.is_delete_all()) ending.internal_port = request.internal_port;
  ending.door = port_mapping::Door::nat_pmp;  // what another protocol made, with its own safeguards, is not ended by this one
  mappings_.end(ending, [this, request, reply = std::move(reply)](const Result<std::size_t>& ended) {
    const auto epoch_s = mappings_.epoch_s();
    if (!ended) return reply(map_error(request, epoch_s, result_code(ended.error())));
    reply(map_response(request, epoch_s, Port{0}, 0));  // also when there was none (RFC 6886 section 3.4)
  });
}

}  // namespace drpf::protocol::nat_pmp
