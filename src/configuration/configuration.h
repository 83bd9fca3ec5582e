// The gateway's configuration as one value: read and checked whole, swapped whole. Reading is in configuration_file.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/time.h"
#include "lease/types.h"
#include "proxy/settings.h"
#include "tunnel/offload.h"

namespace drpf::configuration {

struct PublicHostConfig {
  std::string name = "main";
  std::vector<std::string> interfaces;  // empty = those of the default routes
  std::optional<Address> v4;            // none = first global address of the interface
  std::optional<Address> v6;
  bool operator==(const PublicHostConfig&) const = default;
};

struct Limits {
  std::uint32_t connections_per_device = 4096;   // conntrack entries a device may have open outwards
  std::uint32_t packets_per_lease_per_s = 1000;  // 0 = none; new inbound flows per second and lease
  std::uint32_t connection_table_alarm = 80;     // percent of the host's connection table
  std::uint32_t requests_per_device_per_s = 20;  // for ports, by NAT-PMP and PCP; 0 = none
  std::uint32_t accounts_max = 100'000;
  std::uint32_t devices_per_account_max = 1'000;
  std::uint32_t api_body_max = 64 * 1024;
  std::uint32_t api_connections_max = 10'000;
  bool operator==(const Limits&) const = default;
};

using tunnel::Offload;

// Who speaks WireGuard. Told nothing it is the embedded engine: it tells at once who comes and moves, which the protection of devices'
// addresses needs, and it asks nothing of the kernel.
enum class TunnelEngine : std::uint8_t { embedded, kernel };

// OpenVPN, by the program of that name, beside WireGuard.
struct OpenVpnConfig {
  bool enabled = false;
  std::string interface = "drpf1";
  Protocol protocol = Protocol::udp;
  Port port{1194};
  bool operator==(const OpenVpnConfig&) const = default;
};

struct Configuration {
  std::vector<PublicHostConfig> hosts;  // empty = one host "main" found by the default route
  std::optional<Address> entry_v4;      // where devices connect to, when that is another address than the leases' (safer)
  std::optional<Address> entry_v6;
  std::optional<std::string> endpoint_name;  // host name or address for device configurations; none = entry or public address

  TunnelEngine engine = TunnelEngine::embedded;
  std::string tunnel_interface = "drpf0";
  Prefix tunnel_v4;                 // default 10.77.0.0/16; the gateway owns x.y.z.1 of every /24
  std::optional<Prefix> tunnel_v6;  // none = no IPv6 inside
  bool tunnel_v6_named = false;     // by the file, "none" too; else it is own_tunnel_v6(), or what an older gateway's devices have
  Port wireguard_port{51820};
  std::uint16_t mtu = 1420;
  Offload offload = Offload::automatic;
  std::optional<std::size_t> crypto_workers;  // in each direction; none = by the number of cores
  OpenVpnConfig openvpn;
  std::vector<Address> dns;              // put into device configurations
  std::vector<Prefix> private_networks;  // that devices reach; others are closed to them

  PortRange pool{Port{10000}, Port{31999}};
  PortRange snat{Port{32768}, Port{51199}};
  PortRange ephemeral{Port{52000}, Port{60999}};  // net.ipv4.ip_local_port_range that the gateway sets and proves
  std::vector<PortRange> reserved;                // never leased
  std::vector<Port> input_tcp;                    // services of this host that stay reachable from outside; empty = 22
  std::vector<Port> input_udp;
  std::vector<lease::Plan> plans;  // default: personal, business
  std::string default_plan = "personal";
  Duration grace = std::chrono::hours(24);
  Duration history = std::chrono::hours(7 * 24);  // who held which port; 0 = not kept
  Duration quarantine = std::chrono::seconds(600);
  bool changes_may_end_leases = false;  // else what would end leases or give devices other addresses is refused
  Duration disconnect_after = std::chrono::seconds(180);

  Port api_port{5351};     // TCP, on the tunnel addresses of the gateway, for devices
  bool upnp = true;        // under /upnp on that port, found by SSDP
  Duration audit_every{};  // how often the leases are looked at from outside; 0 = never
  proxy::Settings proxy;   // of a process of its own; it listens nowhere unless the file says where
  Limits limits;
  std::string user = "drpf";  // that a gateway started by root goes on as, if there is such a user
  bool user_named = false;    // by the file: then there must be one

  bool operator==(const Configuration&) const = default;
};

// What all gateways had that were told no other.
Prefix former_tunnel_v6();
// The tunnel's prefix of the gateway with this public key, as RFC 4193 has it: two gateways have different ones, and nobody who has seen
// one knows another's.
Prefix own_tunnel_v6(std::span<const std::uint8_t, 32> key_digest);

// The configuration of a gateway that was told nothing.
Configuration default_configuration();

}  // namespace drpf::configuration
