// The system's name servers while the tunnel is up: told to systemd-resolved or resolvconf, whichever is there. Writes no file itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/result.h"

namespace drpf::client {

inline constexpr std::size_t outside_servers_max = 3;  // as the C library has it

// The servers named in a resolv.conf(5).
std::vector<Address> name_servers_in(std::string_view resolv_conf);
// Whether all of them are named there.
bool are_named_in(std::string_view resolv_conf, const std::vector<Address>& servers);
// The servers that this machine uses now, before a tunnel is up: those behind systemd-resolved's own address where that stands there.
std::vector<Address> present_name_servers();

// The system's resolver and its files belong to the network namespace of process 1; for any other, changing them would be changing the
// host. Found out at the first call, which therefore has to come while process 1 may still be looked at.
bool in_system_network();

class NameServers {
 public:
  explicit NameServers(std::string interface) : interface_(std::move(interface)) {}

  // `all_names`: every name is asked there (a full tunnel), not only those of the search domains. An error leaves things as they were.
  // To be called again when they are lost.
  Status set(const std::vector<Address>& servers, const std::vector<std::string>& search, bool all_names);
  // They stood in the system's own list, and do not any more: another program has changed it, or the resolver has forgotten them with the
  // interface.
  bool are_lost();
  // What this, or a killed predecessor, told resolvconf. (systemd-resolved forgets with the interface.) Never fails.
  void clear();

 private:
  std::string interface_;
  std::vector<Address> servers_;
  bool stood_ = false;
};

}  // namespace drpf::client
