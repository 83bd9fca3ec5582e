// Who may use the proxy, and what may be reached through it: every door asks here. Decides about addresses and ports; resolves and connects
// nothing. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "proxy/host.h"

namespace drpf::proxy {

// How something is to be reached: what may be done there differs.
enum class Way : std::uint8_t { http, tunnel, socks, ftp, datagram };

struct Refusal {
  std::string why;   // one sentence
  std::string cure;  // what whoever runs the proxy can do
};

struct Policy {
  std::vector<Prefix> sources;        // who may use it
  std::vector<Prefix> reach_private;  // beyond the public addresses
  std::vector<Port> connect_ports{Port{443}, Port{563}, Port{8443}};
  std::vector<Endpoint> listeners;  // the proxy itself is never reached through itself

  bool may_use(const Address& source) const;
  std::optional<Refusal> refuses_port(Way way, Port port) const;
  // A name that stands for this host whatever the resolver says.
  std::optional<Refusal> refuses_name(const std::string& name) const;
  // `own`: an address of this host.
  std::optional<Refusal> refuses(const Endpoint& to, bool own) const;
};

// What a packet to this address really goes to, where it carries another one inside: v4-mapped and v4-compatible, NAT64, 6to4, Teredo,
// ISATAP. Itself for any other.
Address carried_address(const Address& address);

// IPv4 in the form of IPv6 (RFC 4291 section 2.5.5.2) as IPv4; itself for any other.
Address plain_address(const Address& address);

// Why this is no address of the public Internet; nothing for one that is.
std::optional<std::string_view> special_use(const Address& address);

// Where the proxy may listen: nobody from outside comes to these.
bool is_private_listener(const Address& address);

}  // namespace drpf::proxy
