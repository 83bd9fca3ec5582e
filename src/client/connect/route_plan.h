// What the device's network looks like while it is connected: addresses, routes, rules, firewall text, as one value. Applies nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/connect/tunnel_fences.h"
#include "core/address.h"
#include "core/result.h"
#include "protocol/wireguard/wg_quick_file.h"

namespace drpf::client {

// Our policy rules stand at these places and nowhere else: three of each interface, known from its name, so that a later start finds what a
// crash left. Rules that pick some packets come before those that take all; both before the main table's 32766.
struct RulePriorities {
  std::uint32_t gateway = 0;
  std::uint32_t first = 0;
  std::uint32_t second = 0;
};
enum class Reach : std::uint8_t { selected, everything };
RulePriorities rule_priorities(std::string_view interface, Reach reach);

inline constexpr std::uint32_t main_table = 254;
inline constexpr std::uint16_t tunnel_mtu_default = 1420;

struct PlannedRule {
  Family family = Family::v4;
  std::uint32_t priority = 0;
  std::uint32_t table = 0;
  std::optional<Prefix> from = std::nullopt;
  std::optional<Prefix> to = std::nullopt;
  std::optional<std::uint32_t> mark = std::nullopt;
  bool not_mark = false;          // matches packets that do not carry `mark`
  bool suppress_default = false;  // suppress_prefixlength 0: the table's default route does not count
  bool operator==(const PlannedRule&) const = default;
};

struct PlannedRoute {
  Prefix to;
  std::uint32_t table = main_table;
  std::optional<Address> gateway = std::nullopt;  // on the link; then somebody's route of that destination is left alone
  bool last_resort = false;  // behind all others of its destination: unreachable, also when there is no interface any more
  bool operator==(const PlannedRoute&) const = default;
};

struct PlannedSetting {  // of /proc/sys, as sysctl(8) names it: "net.ipv4.conf.home.rp_filter"
  std::string name;
  std::string value;
  bool restore = false;  // outlives the interface: its former value is put back at the end
  bool operator==(const PlannedSetting&) const = default;
};

struct RoutePlan {
  std::string interface;
  std::uint32_t engine_mark = 0;  // on the engine's sockets
  std::uint32_t table = 0;        // ours; 0 = none
  std::uint16_t mtu = tunnel_mtu_default;
  std::vector<protocol::wireguard::InterfaceAddress> addresses;
  std::vector<PlannedRoute> routes;  // all through the interface
  std::vector<PlannedRule> rules;
  std::vector<PlannedSetting> settings;
  OpenPorts leased;      // what this device holds now; see let_leases_in()
  std::string chains;    // of the firewall, but for what is leased
  std::string firewall;  // nft text that replaces our table as a whole
  bool full_tunnel = false;
  bool kill_switch = false;  // nothing leaves past the tunnel
  bool stays = false;        // after an end that nobody asked for, all of this but the interface stays; the user's word takes it away
  std::vector<std::string> notes;
};

struct RouteWish {
  std::string interface;
  bool inbound_only = false;
  bool kill_switch = true;
  bool ipv6 = true;                   // this machine has it, whether the tunnel does or not
  OpenPorts let_in{};                 // may come out of the tunnel beside leases
  std::vector<std::string> askers{};  // interfaces whose machines may ask the gateway in this device's name
  bool shares = false;                // rules of sharing judge what comes for a machine behind this one
};

// Letters, digits, '_', '-' and '.', 1 to 15 of them, beginning with a letter or digit: what a device, an nft table and a file may all be
// called.
Status check_interface_name(std::string_view name);
// "/etc/wireguard/home.conf" -> "home".
Result<std::string> interface_name_of_file(std::string_view path);

// True for a rule that make_route_plan() could have made for this interface: it may be removed.
bool is_own_rule(std::string_view interface, const PlannedRule& rule);

// The table's number, and the marks of this interface: from its name, so that the next start knows them without having been told.
std::uint32_t own_table(std::string_view interface);
std::uint32_t reply_mark(std::string_view interface);
std::string firewall_table_name(std::string_view interface);
inline constexpr std::string_view firewall_table_prefix = "drpf_connect_";
inline constexpr std::string_view kill_switch_chain = "outside";  // of the firewall's table; there is none without a kill switch
// The marks of all interfaces: these bits of the packet's mark are as they are in own_table() or reply_mark().
inline constexpr std::uint32_t mark_family_mask = 0xffff0000;
bool is_connect_table(std::uint32_t table);  // of whatever interface

// Whether a full tunnel leaves the way to this address beside it: private and link-local networks.
bool stays_outside(const Address& address);

// The gateway's own address inside the tunnel: the device's IPv4 address with 1 as its last byte. None without IPv4.
std::optional<Address> gateway_address(const protocol::wireguard::WgQuickFile& file);

// The local ports of the leases that this device has from now on: what else comes out of the tunnel is refused by the firewall's text.
void let_leases_in(RoutePlan& plan, OpenPorts leased);

RoutePlan make_route_plan(const protocol::wireguard::WgQuickFile& file, const RouteWish& wish);

}  // namespace drpf::client
