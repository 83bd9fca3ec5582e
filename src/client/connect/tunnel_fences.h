// Who may speak through the tunnel, and what may come out of it: chains of the device's firewall table, as text for nft. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"

namespace drpf::client {

// Ports of this machine that may be reached through the tunnel.
struct OpenPorts {
  std::vector<PortRange> tcp;  // ascending, none touches another
  std::vector<PortRange> udp;
  bool everything = false;  // whatever comes out of the tunnel, wherever it is for
  bool operator==(const OpenPorts&) const = default;
  bool empty() const { return tcp.empty() && udp.empty() && !everything; }
};
inline constexpr std::size_t let_in_max = 64;

// "22,8000-8010/udp", or "all". In the order of ports, joined where they touch.
Result<OpenPorts> parse_open_ports(std::string_view text);
std::vector<PortRange> joined(std::vector<PortRange> ranges);

struct TunnelFences {
  std::string interface;
  std::vector<Address> own;               // the tunnel's addresses of this device
  std::vector<Address> gateways;          // those of the gateway inside, as far as they are known
  OpenPorts named;                        // by the user: may come out of the tunnel beside leases
  std::vector<std::string> askers;        // interfaces whose machines may ask the gateway in this device's name
  std::optional<PortRange> shared_ports;  // what comes for these is judged by the rules of sharing
};

// The ports of the gateway's doors for devices: its API and UPnP's descriptions, NAT-PMP and PCP; and UPnP's search.
inline constexpr Port gateway_doors_port{5351};
inline constexpr Port upnp_search_port{1900};

// What bears the tunnel's address comes from this machine; what goes into the tunnel bears it, unless everything may come out of it.
std::string source_chains(const TunnelFences& fences);
// What this machine forwards reaches no door of the gateway.
std::string asking_chain(const TunnelFences& fences);
// Answers come out of the tunnel, visits to leases (the sets of leased_sets()), and what the user has named.
std::string arrival_chains(const TunnelFences& fences);
std::string leased_sets(const OpenPorts& leased);

}  // namespace drpf::client
