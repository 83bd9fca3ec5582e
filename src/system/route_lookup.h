// Which way the kernel would send a packet to an address: interface, next hop and source address, by RTM_GETROUTE. Sends nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "core/address.h"
#include "core/result.h"
#include "system/netlink_socket.h"

namespace drpf::system {

struct PathTo {
  int interface_index = 0;
  std::optional<Address> gateway;  // none: on link
  Address source;
  bool local = false;  // the address is this host's own
};

using MacAddress = std::array<std::uint8_t, 6>;

// What the kernel's table says of a neighbour. A stale entry is none: it is asked anew.
struct KnownNeighbour {
  std::optional<MacAddress> mac;
  bool confirmed = false;  // by itself, within the last half minute or so; an entry made by hand is not
  bool asked = false;      // the kernel asks it at present, and has had no answer yet
  bool silent = false;     // the kernel has asked it, and given up
};

std::string to_string(const MacAddress& mac);  // "52:54:00:12:34:56"

struct LinkKind {
  std::string name;
  bool ethernet = false;  // has Ethernet headers, and neighbours to be resolved
  bool loopback = false;
  MacAddress mac{};
};

// What connect() would say where path_to() has failed: ENETUNREACH, or what the route itself says (EHOSTUNREACH, EACCES, EINVAL).
int errno_of_no_route(const Error& error);

class RouteLookup {
 public:
  static Result<RouteLookup> open();
  // `interface`: 0, or the one to leave by. An error is one that errno_of_no_route() understands.
  Result<PathTo> path_to(const Address& target, int interface = 0, const std::optional<Address>& source = {});
  // What the kernel knows of its neighbours on this interface, without asking.
  Result<KnownNeighbour> known_neighbour(int interface, const Address& neighbour);

 private:
  explicit RouteLookup(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

Result<LinkKind> link_kind(int interface);
Result<int> interface_index(const std::string& name);  // not_found "interface_unknown"

}  // namespace drpf::system
