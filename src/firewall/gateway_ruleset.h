// The gateway's firewall as a value, and its text for the nft program. Structure only: the elements of its maps and sets (leases,
// generations, endpoints) are added by the redirect. Pure.
//
// The table is kept in the flat form (add chain, flush chain, add rule) because a table block would clear the table's persist flag, and
// because applying it to a table that is already there must keep the elements.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "firewall/gateway_sets.h"
#include "firewall/proxy_rules.h"
#include "lease/types.h"

namespace drpf::firewall {

// Where the gateway's own visits to its leases come from: an interface that counts as public, and an address of each family that nobody
// else may use. From it only leases can be visited, and devices can only answer.
struct ProbeDoor {
  std::string interface;
  Address v4;
  Address v6;
  bool operator==(const ProbeDoor&) const = default;
};

struct GatewayRuleset {
  std::string table = "drpf";  // family inet
  std::vector<std::string> public_interfaces;
  std::vector<lease::PublicHost> hosts;
  std::vector<std::string> tunnel_interfaces{"drpf0"};  // of all ways in
  std::optional<Prefix> tunnel_v4;
  std::optional<Prefix> tunnel_v6;  // none = no IPv6 inside the tunnel

  PortRange pool{Port{10000}, Port{31999}};
  PortRange snat{Port{32768}, Port{51199}};

  Port wireguard_port{51820};
  std::vector<Port> more_tunnel_ports_udp;  // of other ways in
  Port api_port{5351};                      // TCP, for devices, on the gateway's tunnel addresses
  Port port_mapping_port{5351};             // UDP: NAT-PMP and PCP
  std::vector<Prefix> open_networks;        // of those that devices do not reach otherwise (closed_networks.h)
  bool upnp = true;                         // UDP 1900 for searches; its HTTP is on the API's port
  std::vector<PortRange> input_tcp;         // services of this host that stay reachable from outside the tunnel
  std::vector<PortRange> input_udp;

  ProxyDoor proxy;

  std::optional<ProbeDoor> probe;

  // Devices connect to the address that leases are on: packets from devices' own addresses to leases are then dropped (Port Fail).
  // False where the gateway has an entry address of its own, which is safer and has no such cost.
  bool entry_shares_lease_address = true;

  // Open at once, outbound; and as many inbound, of which one lease has three quarters at most, and visitors of one network (/24, /64)
  // half.
  std::uint32_t connections_per_device = 4096;
  // Of one account to one address: its connections there have the same few source ports to choose from as everybody's. 0 = an eighth of
  // those.
  std::uint32_t connections_to_one_address_max = 0;
  std::uint32_t connections_to_gateway_max = 512;     // of one device to the gateway itself
  std::uint32_t new_connections_per_lease_per_s = 0;  // 0 = no limit
  std::uint32_t requests_per_device_per_s = 20;       // for ports (NAT-PMP, PCP), with a burst of 2.5 times as many; 0 = no limit

  // Names of rules that are left out. Only for tests: each wall has a test that takes it away and must fail.
  std::vector<std::string> without;
};

struct Rule {
  std::string chain;
  std::string name;  // also the rule's comment in the kernel
  std::string text;
};

// In the order in which they stand in their chains. `without` is not looked at.
std::vector<Rule> rules(const GatewayRuleset& ruleset);

// Commands for `nft -f -`, one transaction; the table itself must exist. Twice is the same as once. Refuses values that make no sense
// (an interface name with a quote in it, a pool that meets the SNAT range, an unknown name in `without`).
Result<std::string> nft_text(const GatewayRuleset& ruleset);

// The packet mark that says "our rules have seen this packet". A routing rule refuses to forward packets without it.
constexpr std::uint32_t seen_mark = 0x10000;

// Names of the maps and sets, which the redirect fills.
namespace set_names {
constexpr const char* redirect_v4 = "dnat4";  // public address . protocol . public port : device address . device port
constexpr const char* redirect_v6 = "dnat6";
constexpr const char* inbound_v4 = "genin4";  // public address . protocol . public port : generation
constexpr const char* inbound_v6 = "genin6";
constexpr const char* source_v4 = "eim4";  // protocol . device address . device port : public address . public port
constexpr const char* source_v6 = "eim6";
constexpr const char* outbound_v4 = "genout4";  // protocol . device address . device port : generation
constexpr const char* outbound_v6 = "genout6";
constexpr const char* live = "live";      // generations that may pass
constexpr const char* here_v4 = "here4";  // device address . interface of the tunnel that it is here by now
constexpr const char* here_v6 = "here6";
constexpr const char* endpoints_v4 = "endpoints4";
constexpr const char* endpoints_v6 = "endpoints6";  // /64 networks: a host changes its address inside one as it likes
constexpr const char* paths_v4 = "paths4";          // outer address . port of devices that are here: whom errors may be about
constexpr const char* paths_v6 = "paths6";
constexpr const char* full_v4 = "full4";  // devices that visitors were refused of within the last minute, for want of a share
constexpr const char* full_v6 = "full6";
constexpr const char* spent_v4 = "spent4";  // devices whose own connections were refused within the last minute, likewise
constexpr const char* spent_v6 = "spent6";
constexpr const char* owner_v4 = "owner4";  // device address : account, as a mark
constexpr const char* owner_v6 = "owner6";
}  // namespace set_names

// The chains that belong to the table; others in it are remains of another version.
std::vector<std::string> chain_names();

}  // namespace drpf::firewall
