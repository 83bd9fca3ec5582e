// What whoever runs the proxy can set, as one value. Reads no file.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/time.h"

namespace drpf::proxy {

struct Settings {
  std::vector<Endpoint> listen;       // private addresses only; none: no proxy
  std::vector<Prefix> allow;          // who may use it; none = the networks of the addresses that it listens on
  std::vector<Prefix> reach_private;  // beyond public addresses
  std::vector<Port> connect_ports;    // none = 443, 563, 8443
  bool udp = false;                   // UDP ASSOCIATE of SOCKS 5
  std::optional<Address> bind_on;     // BIND of SOCKS listens here; none = there is none
  std::optional<std::string> access_log;
  Duration answer_timeout = std::chrono::minutes(2);  // until a server begins to answer, and between two parts of a body
  bool operator==(const Settings&) const = default;
};

}  // namespace drpf::proxy
