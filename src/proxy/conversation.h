// What a conversation with one client needs, and where the languages of clients part. Accepts nobody.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/address.h"
#include "proxy/access_log.h"
#include "proxy/dialer.h"
#include "proxy/limits.h"
#include "proxy/policy.h"
#include "proxy/poller.h"
#include "proxy/stream.h"
#include "proxy/task.h"

namespace drpf::proxy {

// What is done beyond connecting; nothing of it unless whoever runs the proxy wants it.
struct Services {
  bool datagrams = false;          // UDP ASSOCIATE
  std::optional<Address> bind_on;  // where BIND listens
};

struct Client {
  Stream stream;
  Endpoint source;
  Endpoint local;  // of the proxy, as the client reached it
};

struct Parts {
  Poller& poller;
  Dialer& dialer;
  const Policy& policy;
  const Limits& limits;
  const Services& services;
  AccessLog& log;
  std::map<Address, std::size_t> associations = {};  // of UDP, by source
};

// Until the client or the proxy has had enough. The first byte says which language it is.
Task<void> converse(Parts& parts, Client& client);

Task<void> serve_http(Parts& parts, Client& client);
Task<void> serve_socks4(Parts& parts, Client& client);
Task<void> serve_socks5(Parts& parts, Client& client);

}  // namespace drpf::proxy
