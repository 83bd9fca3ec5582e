// BIND of SOCKS: a port is opened for one visitor, who is handed to the client that asked. Opens no port of a pool.
#pragma once

#include "proxy/conversation.h"
#include "proxy/socks_reply.h"

namespace drpf::proxy {

// `expected`: only who comes from there is let in; 0.0.0.0 and ::, which programs send that do not know, are anybody. Granted when a
// visitor came and has gone; with anything else the client has not been answered.
Task<protocol::socks::Outcome> serve_bind(Parts& parts, Client& client, SocksVersion version, Host expected, Access& access);

}  // namespace drpf::proxy
