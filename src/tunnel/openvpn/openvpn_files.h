// What OpenVPN reads: the configuration of our daemon, the lines that a client's is completed with, and the file that a device is given.
// Text only; makes no keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/time.h"
#include "store/credentials.h"
#include "tunnel/way_in.h"

namespace drpf::tunnel::openvpn {

inline constexpr const char* server_name = "drpf-gateway";  // in its certificate; devices ask for it

struct Settings {
  std::string interface = "drpf1";
  Protocol protocol = Protocol::udp;
  Port port{1194};
  Prefix tunnel_v4;
  std::optional<Prefix> tunnel_v6;
  std::uint16_t mtu = 1420;
  Duration disconnect_after = std::chrono::seconds(180);
  std::vector<Address> dns;
  bool both_families = true;              // this host has IPv6
  std::string management = "management";  // the unix socket that the daemon connects to, from its own folder
};

// Keys are in it: it goes to the daemon through a pipe, and never to a disk.
std::string server_configuration(const Settings& settings, const store::OpenVpnIdentity& identity);

// Options of one client: its address and what it is told. `addresses` are its own, one of each family at most.
std::vector<std::string> client_options(const Settings& settings, const std::vector<Prefix>& addresses);

// One complete file, with everything in it.
std::string device_file(const Settings& settings, const DeviceCard& card, const store::OpenVpnIdentity& identity,
                        const store::OpenVpnDevice& device);

}  // namespace drpf::tunnel::openvpn
