// UDP ASSOCIATE of SOCKS 5: carries datagrams for the client whose TCP connection stands, and for nobody else. Ends with that connection.
#pragma once

#include "proxy/conversation.h"
#include "proxy/socks_reply.h"

namespace drpf::proxy {

// Granted when it came to pass; with anything else the client has not been answered. What the request names as the client's own address is
// not asked for (RFC 1928 section 7): many programs put the destination there, and whence the client comes is known.
Task<protocol::socks::Outcome> serve_datagrams(Parts& parts, Client& client, Access& access);

}  // namespace drpf::proxy
