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

struct LinkKind {
  std::string name;
  bool ethernet = false;  // has Ethernet headers, and neighbours to be resolved
  bool loopback = false;
  MacAddress mac{};
};

class RouteLookup {
 public:
  static Result<RouteLookup> open();
  // `interface`: 0, or the one to leave by.
  Result<PathTo> path_to(const Address& target, int interface = 0, const std::optional<Address>& source = {});
  // What the kernel knows of its neighbours on this interface, without asking.
  Result<std::optional<MacAddress>> known_neighbour(int interface, const Address& neighbour);

 private:
  explicit RouteLookup(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

Result<LinkKind> link_kind(int interface);
Result<int> interface_index(const std::string& name);  // not_found "interface_unknown"

}  // namespace drpf::system
