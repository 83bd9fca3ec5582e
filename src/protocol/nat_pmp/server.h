// The NAT-PMP server (RFC 6886): what each request means for the mappings of its sender. Bytes in, answers out through a function that is
// called once or not at all. Pure; who may ask how often is not decided here.
#pragma once

#include <functional>

#include "core/address.h"
#include "core/bytes.h"
#include "protocol/nat_pmp/messages.h"
#include "protocol/port_mapping/mappings.h"

namespace drpf::protocol::nat_pmp {

using Reply = std::function<void(Bytes)>;

// VPN clients ask for "a port, whichever, and the same on my side": internal port 0 or 1, or gluetun's own numbers with its own lifetime.
bool wants_public_number(const MapRequest& request);

class Server {
 public:
  explicit Server(port_mapping::Mappings& mappings) : mappings_(mappings) {}
  void receive(ByteView packet, const Address& source, Reply reply);

 private:
  void answer(const MapRequest& request, const Address& source, Reply reply);
  void answer_delete(const MapRequest& request, const Address& source, Reply reply);

  port_mapping::Mappings& mappings_;
};

}  // namespace drpf::protocol::nat_pmp
