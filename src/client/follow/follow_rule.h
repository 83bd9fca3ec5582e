// Which listening sockets of which programs are to have a public port, as the user wrote it: "qbittorrent-nox,java:25565". Nothing that is
// not named. Values only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"

namespace drpf::client {

inline constexpr std::size_t follow_rules_max = 64;
inline constexpr std::size_t program_name_max = 255;  // of a file

struct FollowedPorts {
  PortRange ports{Port{1}};
  bool tcp = true;
  bool udp = true;
  bool operator==(const FollowedPorts&) const = default;
};

// A port or a range, with "/tcp" or "/udp" for one protocol.
std::optional<FollowedPorts> parse_followed_ports(std::string_view text);

struct FollowRule {
  std::string program;  // the process's name or its program's file name, exactly
  std::vector<FollowedPorts> only;
  std::vector<FollowedPorts> never;
  bool operator==(const FollowRule&) const = default;
};

// NAME[:PORTS]; PORTS are ports or ranges joined by '+', each with "/tcp" or "/udp" for one protocol, and "!" before those that are left
// out.
Result<FollowRule> parse_follow_rule(std::string_view text);
// Several, with commas between them.
Result<std::vector<FollowRule>> parse_follow_rules(std::string_view text);

// One port on which a program listens, over one protocol and on all addresses that it chose.
struct FollowedSocket {
  std::string program;
  Protocol protocol = Protocol::tcp;
  Address address;
  Port port;
  std::uint32_t interface = 0;  // bound to the interface of this number alone
  auto operator<=>(const FollowedSocket&) const = default;
};

// What of this machine bears on the choice.
struct FollowContext {
  std::uint32_t interface = 0;                        // the tunnel's number
  std::vector<Address> own;                           // the device's tunnel addresses
  PortRange passing_ports{Port{32768}, Port{60999}};  // net.ipv4.ip_local_port_range: what the kernel gives to whoever asks for any
};

// What a program that is followed wants: a public port that leads to this one.
struct FollowWish {
  std::string program;
  Port port;
  bool tcp = false;
  bool udp = false;
  auto operator<=>(const FollowWish&) const = default;
};

struct FollowChoice {
  std::vector<FollowWish> wishes;       // sorted; one for each port
  std::vector<FollowWish> left_closed;  // control interfaces, which are opened only when their port is named
};

// Listeners on loopback or on an address that the tunnel does not lead to are passed over; so are UDP sockets on passing ports (answers to
// own questions) without a TCP listener beside them, and those that find neighbours by multicast.
FollowChoice choose(const std::vector<FollowRule>& rules, const std::vector<FollowedSocket>& sockets, const FollowContext& context);

}  // namespace drpf::client
