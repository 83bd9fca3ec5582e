#include "protocol/pcp/server.h"

#include <algorithm>
#include <utility>

namespace drpf::protocol::pcp {

namespace {

using Code = ResultCode;
using port_mapping::Mapped;

constexpr std::uint8_t tcp_number = 6;
constexpr std::uint8_t udp_number = 17;

// How long an error is likely to last (section 7.4 tells short-lived ones from long-lived ones).
constexpr std::uint32_t short_error_s = 30;
constexpr std::uint32_t long_error_s = 1800;

std::uint32_t retry_after_s(Code code) {
  const bool is_short = code == Code::network_failure || code == Code::no_resources || code == Code::user_exceeds_quota ||
                        code == Code::cannot_provide_external;
  return is_short ? short_error_s : long_error_s;
}

Code result_code(const Error& error, bool only_suggested) {
  if (error.kind != Error::Kind::refusal) return Code::network_failure;
  if (error.code == "account_suspended" || error.code == "not_connected" || error.code == "nonce_mismatch") return Code::not_authorized;
  if (only_suggested) return Code::cannot_provide_external;
  if (error.code == "quota_exhausted") return Code::user_exceeds_quota;
  return Code::no_resources;
}

Protocol protocol_of(const MapRequest& request) { return request.protocol == tcp_number ? Protocol::tcp : Protocol::udp; }

// Section 11.1: an all-zeros suggestion still tells which family is wanted.
std::optional<Address> external_address(const MapRequest& request, const Mapped& mapped) {
  const bool wants_v4 = request.suggested_external_address.is_v4();
  if (wants_v4 && mapped.external_v4) return mapped.external_v4;
  if (!wants_v4 && mapped.external_v6) return mapped.external_v6;
  return mapped.external_v4 ? mapped.external_v4 : mapped.external_v6;
}

}  // namespace

Bytes Server::error(ByteView packet, Code code) const { return error_response(packet, mappings_.epoch_s(), code, retry_after_s(code)); }

void Server::receive(ByteView packet, const Address& source, Reply reply) {
  if (!mappings_.client(source)) return;
  const auto received = read_request(packet);
  if (const auto* bad = std::get_if<BadRequest>(&received)) return reply(error(packet, bad->code));
  if (const auto* announce = std::get_if<AnnounceRequest>(&received))
    return reply(announce->client == source ? announce_response(mappings_.epoch_s()) : error(packet, Code::address_mismatch));
  const auto* request = std::get_if<MapRequest>(&received);
  if (!request) return;
  if (const auto code = check(*request, source); code != Code::success) return reply(error(packet, code));
  if (request->is_delete())
    answer_delete(*request, packet, source, std::move(reply));
  else
    answer(*request, packet, source, std::move(reply));
}

Code Server::check(const MapRequest& request, const Address& source) const {
  if (request.client != source) return Code::address_mismatch;
  if (!request.filters.empty()) return Code::unsupported_option;
  const bool everything = request.protocol == 0 || request.internal_port.is_zero();
  if (request.is_delete()) {
    const bool known = request.protocol == 0 || request.protocol == tcp_number || request.protocol == udp_number;
    // Section 13.2: neither option makes sense in a deletion.
    return !known ? Code::unsupported_protocol : request.prefer_failure ? Code::malformed_option : Code::success;
  }
  if (request.protocol != tcp_number && request.protocol != udp_number) return Code::unsupported_protocol;
  if (everything) return Code::unsupported_protocol;  // all ports of an address are more than a plan gives (section 11.3)
  if (!request.prefer_failure) return Code::success;
  if (request.suggested_external_port.is_zero()) return Code::cannot_provide_external;
  for (const auto& mapped : mappings_.mappings_of(source))
    if (mapped.protocol == protocol_of(request) && mapped.internal_port == request.internal_port &&
        mapped.external_port != request.suggested_external_port)
      return Code::cannot_provide_external;
  return Code::success;
}

void Server::answer(const MapRequest& request, ByteView packet, const Address& source, Reply reply) {
  port_mapping::Wish wish;
  wish.client = source;
  wish.protocol = protocol_of(request);
  wish.internal_port = request.internal_port;
  wish.suggested_port = request.suggested_external_port;
  wish.only_suggested = request.prefer_failure;
  if (request.port_set) {
    const auto last_start = 65535 - request.internal_port.value() + 1;
    wish.count = static_cast<std::uint16_t>(std::min({int{request.port_set->size}, int{port_set_size_max}, last_start}));
  }
  wish.lifetime = std::chrono::seconds(request.lifetime_s);
  wish.door = port_mapping::Door::pcp;
  wish.nonce = request.nonce;
  mappings_.map(wish, [this, request, packet = Bytes(packet.begin(), packet.end()),
                       reply = std::move(reply)](const Result<std::vector<Mapped>>& mapped) {
    if (!mapped) return reply(error(packet, result_code(mapped.error(), request.prefer_failure)));
    const auto& first = mapped->front();
    const auto address = external_address(request, first);
    if (!address) return reply(error(packet, Code::network_failure));
    MapAnswer answer;
    answer.lifetime_s = static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(first.lifetime).count());
    answer.external_port = first.external_port;
    answer.external_address = *address;
    if (request.port_set)
      answer.port_set = PortSet{static_cast<std::uint16_t>(mapped->size()), request.internal_port, request.port_set->parity};
    reply(map_response(request, mappings_.epoch_s(), answer));
  });
}

void Server::answer_delete(const MapRequest& request, ByteView packet, const Address& source, Reply reply) {
  port_mapping::Ending ending;
  ending.client = source;
  if (request.protocol != 0) ending.protocol = protocol_of(request);
  if (!request.internal_port.is_zero()) ending.internal_port = request.internal_port;
  ending.door = port_mapping::Door::pcp;
  ending.nonce = request.nonce;
  mappings_.end(ending,
                [this, request, packet = Bytes(packet.begin(), packet.end()), reply = std::move(reply)](const Result<std::size_t>& ended) {
                  if (!ended) return reply(error(packet, result_code(ended.error(), false)));
                  // Section 15.1: also when there was none; the suggestion is repeated.
                  MapAnswer answer;
                  answer.external_port = request.suggested_external_port;
                  answer.external_address = request.suggested_external_address;
                  answer.port_set = request.port_set;
                  reply(map_response(request, mappings_.epoch_s(), answer));
                });
}

}  // namespace drpf::protocol::pcp
