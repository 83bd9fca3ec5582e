// Links, addresses, routes and routing rules of this network namespace, through rtnetlink. Changes are idempotent: what is there already
// is not added twice, and what is gone already is not an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "system/netlink_socket.h"

namespace drpf::system {

struct Link {
  int index = 0;
  std::string name;
  std::uint32_t mtu = 0;
  std::uint32_t transmit_queue_length = 0;
  bool up = false;
  std::string kind;  // of a virtual link: "tun", "wireguard"; none of others
};

struct LinkChange {
  std::optional<bool> up;
  std::optional<std::uint32_t> mtu;
  std::optional<std::uint32_t> transmit_queue_length;
};

struct InterfaceAddress {
  std::string interface;
  Address address;
  unsigned prefix_length = 0;
  bool global = false;      // scope: usable from other hosts
  bool deprecated = false;  // or still tentative: not to be chosen
  bool temporary = false;   // IPv6 privacy address, and IPv4 secondary addresses
};

enum class RouteType : std::uint8_t { unicast, local, blackhole, unreachable };

namespace routing_table {
constexpr std::uint32_t main = 254;
constexpr std::uint32_t local = 255;
}  // namespace routing_table

struct Route {
  Prefix destination;  // 0.0.0.0/0 or ::/0 is the default route
  RouteType type = RouteType::unicast;
  std::optional<std::string> interface;
  std::optional<Address> gateway;
  bool on_link = false;           // the gateway is reached through the interface, whatever other routes say
  std::optional<Address> source;  // preferred source address
  std::uint32_t table = routing_table::main;
  std::uint32_t metric = 0;  // 0 = the kernel's default (IPv6: 1024)
  std::optional<std::uint32_t> mtu;
};

enum class RuleAction : std::uint8_t { lookup, blackhole, unreachable };

// A routing rule (ip-rule(8)). A mark of {0, 0x10000} matches packets whose bit 16 is clear.
struct RoutingRule {
  Family family = Family::v4;
  std::uint32_t priority = 0;
  bool inverted = false;  // "not": matches what the selectors do not
  std::optional<Prefix> from;
  std::optional<Prefix> to;
  std::optional<std::string> incoming_interface;  // "lo" = packets of this host; a name need not exist yet
  std::optional<std::string> outgoing_interface;
  struct Mark {
    std::uint32_t value = 0;
    std::uint32_t mask = 0xffffffff;
    bool operator==(const Mark&) const = default;
  };
  std::optional<Mark> mark;
  RuleAction action = RuleAction::lookup;
  std::uint32_t table = routing_table::main;            // for lookup
  std::optional<std::uint32_t> suppress_prefix_length;  // for lookup: ignore routes with a prefix not longer than this
  bool operator==(const RoutingRule&) const = default;
};

class LinksAndRoutes {
 public:
  static Result<LinksAndRoutes> open();

  Result<std::vector<Link>> links();
  Result<Link> link(const std::string& name);  // not_found "interface_unknown"
  Status change_link(const std::string& name, const LinkChange& change);
  Status remove_link(const std::string& name);
  // There is a virtual link of this kind and name; one of another kind is not touched, and refused as EEXIST.
  Status ensure_link(const std::string& name, const std::string& kind);

  Result<std::vector<InterfaceAddress>> addresses();
  Result<std::vector<InterfaceAddress>> addresses_of(const std::string& interface);
  Status add_address(const std::string& interface, const Address& address, unsigned prefix_length);

  Result<std::vector<Route>> routes(Family family, std::uint32_t table = routing_table::main);
  Status put_route(const Route& route);           // adds, or replaces the one with the same destination, table and metric
  Status remove_route(const Route& route);        // by destination, type, table and metric; one that is gone is no error
  Result<bool> ensure_route(const Route& route);  // adds it unless its destination, table and metric have one; true if it was missing

  Result<std::vector<RoutingRule>> rules(Family family);
  Status add_rule(const RoutingRule& rule);
  Status remove_rule(const RoutingRule& rule);

  // The default route that the kernel prefers (lowest metric) of the main table; not_found "default_route_missing".
  Result<Route> default_route(Family family);
  // The address that visitors reach this interface by: global, not deprecated, permanent before temporary.
  Result<Address> first_global_address(const std::string& interface, Family family);

 private:
  explicit LinksAndRoutes(NetlinkSocket socket) : socket_(std::move(socket)) {}
  Result<int> index_of(const std::string& name);
  Result<std::string> name_of(int index);
  Status add_route(const Route& route, int flags);
  Status send_rule(const RoutingRule& rule, bool add);

  NetlinkSocket socket_;
};

// "to 10.77.0.0/16 fwmark 0x0/0x10000 unreachable": as ip-rule(8) would print it, for messages.
std::string to_string(const RoutingRule& rule);

}  // namespace drpf::system
