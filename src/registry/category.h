// What kind of service a port is for: the shelves of the well-known table and of the scanner's default list.
#pragma once

#include <cstdint>
#include <string_view>

namespace drpf::registry {

enum class Category : std::uint8_t {
  none,
  web,
  mail,
  remote_access,  // shells and remote desktops
  file_sharing,   // network disks and file transfer within an organisation
  file_exchange,  // between strangers: peer to peer
  database,
  queue,
  container,
  monitoring,
  vpn_proxy,
  voice,  // telephony, conferencing, chat
  media,  // streams, cameras
  game,
  home,
  printer,
  development,
  directory,
  backup,
  network,     // names, time, addresses, routing: what a network itself needs
  management,  // of hosts and devices
  industrial,
  payment,  // digital currencies
  old,      // protocols that hardly anybody runs any more
};

std::string_view to_string(Category category);  // "remote access"

}  // namespace drpf::registry
