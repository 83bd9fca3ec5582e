// The PCP server (RFC 6887): MAP with PREFER_FAILURE and PORT_SET, and ANNOUNCE. PEER and FILTER are refused by their codes. Bytes in,
// answers out through a function that is called once or not at all. Pure; who may ask how often is not decided here.
//
// A renewal with another nonce takes the mapping over, other than section 11.3 has it: its sender is proven by the tunnel, and deployed
// clients make a new nonce for each request. A deletion needs the nonce of the mapping.
#pragma once

#include <functional>

#include "core/address.h"
#include "core/bytes.h"
#include "protocol/pcp/messages.h"
#include "protocol/port_mapping/mappings.h"

namespace drpf::protocol::pcp {

using Reply = std::function<void(Bytes)>;

// Of a PORT_SET, more is not asked for.
inline constexpr std::uint16_t port_set_size_max = 64;

class Server {
 public:
  explicit Server(port_mapping::Mappings& mappings) : mappings_(mappings) {}
  void receive(ByteView packet, const Address& source, Reply reply);

 private:
  ResultCode check(const MapRequest& request, const Address& source) const;
  void answer(const MapRequest& request, ByteView packet, const Address& source, Reply reply);
  void answer_delete(const MapRequest& request, ByteView packet, const Address& source, Reply reply);
  Bytes error(ByteView packet, ResultCode code) const;

  port_mapping::Mappings& mappings_;
};

}  // namespace drpf::protocol::pcp
