// The words of the lease book as plain values. No protocol, no clock, no I/O.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/time.h"

namespace drpf::lease {

enum class AccountId : std::uint32_t {};
enum class DeviceId : std::uint32_t {};
enum class GrantId : std::uint32_t {};

// A number that is given to one lease activation and never to another; it is the conntrack mark of the lease's flows. 0 = none.
enum class Generation : std::uint32_t { none = 0 };

// One public host that visitors reach: an IPv4 address, an IPv6 address, or both. Named, so that its addresses may change (DHCP)
// while the leases on it stay.
struct PublicHost {
  std::string name;  // "main" unless configured
  std::optional<Address> v4;
  std::optional<Address> v6;
  bool operator==(const PublicHost&) const = default;
};

// A port of a public host, for one protocol: what a lease is taken on.
struct PublicPort {
  std::string host;  // PublicHost::name
  Protocol protocol = Protocol::tcp;
  Port port;
  auto operator<=>(const PublicPort&) const = default;
};

struct Plan {
  std::string name;
  std::uint32_t ports_max = 5;                      // public ports an account may hold; TCP and UDP of one number count once
  std::uint16_t ports_at_connect = 5;               // given to a device at its first connect, as one contiguous range
  bool port_choice = false;                         // may the account itself name the number it wants? (an administrator always may)
  Duration lease_lifetime = std::chrono::hours(1);  // how far ahead the deadline of a connected device's leases is kept
  bool operator==(const Plan&) const = default;

  // Together with those that rest because of the account.
  std::uint64_t ports_and_rest_max() const { return 2 * std::uint64_t{ports_max}; }
};

struct Account {
  AccountId id{};
  std::string name;
  std::string plan;
  bool suspended = false;  // its devices get no leases
  bool operator==(const Account&) const = default;
};

struct Device {
  DeviceId id{};
  AccountId account{};
  std::string name;  // unique over all accounts
  Address tunnel_v4;
  std::optional<Address> tunnel_v6;
  bool connected = false;
  bool operator==(const Device&) const = default;
};

enum class LeaseKind : std::uint8_t {
  automatic,  // given at connect
  fixed,      // set by an administrator; outlives every disconnect
  requested,  // asked for by a program (NAT-PMP, PCP, UPnP, API); ends at its own deadline
};

// A contiguous range of ports of one host that a device holds, over disconnects.
struct Grant {
  GrantId id{};
  AccountId account{};
  DeviceId device{};
  std::string host;
  PortRange ports{Port{1}};
  LeaseKind kind = LeaseKind::automatic;
  std::optional<Time> kept_until;  // set while the device is away: end of the grace time; never set for fixed grants
  bool operator==(const Grant&) const = default;
};

enum class LeaseState : std::uint8_t {
  active,  // redirected to the device until the deadline
  held,    // the device is away or suspended: nothing is redirected, nobody else gets the port
};

// By which protocol a program asked.
enum class Door : std::uint8_t { nat_pmp, pcp, upnp, api };

using Nonce = std::array<std::uint8_t, 12>;  // PCP's (RFC 6887 section 11.1)

// What a program asked for, on the lease that carries it. It ends with the lease's deadline, which only the program moves on; an automatic
// lease leads afterwards where it led before.
struct Mapping {
  static constexpr std::size_t description_max = 64;  // printable ASCII

  Door door = Door::nat_pmp;
  Port internal_port;  // as the program has it; mostly Lease::local_port
  Nonce nonce{};
  std::string description;
  Port local_port_after;         // of an automatic lease
  bool while_connected = false;  // the deadline is kept ahead by us, as long as the device is there (UPnP's lease time 0)
  bool operator==(const Mapping&) const = default;
};

struct Lease {
  PublicPort on;
  GrantId grant{};
  DeviceId device{};
  Port local_port;
  LeaseKind kind = LeaseKind::automatic;
  LeaseState state = LeaseState::held;
  Generation generation = Generation::none;  // of this activation; none while held
  Time deadline{};                           // active: when the kernel ends it unless renewed
  std::optional<Mapping> mapping;            // only while active
  bool operator==(const Lease&) const = default;

  // Nobody but a program keeps it alive.
  bool ends_by_itself() const { return mapping ? !mapping->while_connected : kind == LeaseKind::requested; }
};

// Ports that rest after their grant ended, before another account may have them.
struct Quarantine {
  std::string host;
  PortRange ports{Port{1}};
  AccountId last_holder{};  // may have them back at once
  Time until{};
  bool operator==(const Quarantine&) const = default;
};

// What the operator decided: configuration, as the book sees it.
struct Policy {
  std::vector<PublicHost> hosts;
  PortRange pool{Port{10000}, Port{31999}};
  std::vector<PortRange> reserved;  // never leased
  std::vector<Port> occupied;       // a program of this host listens there: not given anew, and nobody who has one loses it
  std::vector<Plan> plans;
  std::string default_plan = "personal";
  Duration grace = std::chrono::hours(24);
  Duration quarantine = std::chrono::seconds(600);  // never under quarantine_min
  Prefix tunnel_v4;
  std::optional<Prefix> tunnel_v6;
  std::uint32_t accounts_max = 100'000;
  std::uint32_t devices_per_account_max = 1'000;
  bool operator==(const Policy&) const = default;

  static constexpr Duration quarantine_min = std::chrono::seconds(120);
  static constexpr Duration lease_lifetime_min = std::chrono::seconds(1);
  static constexpr Duration lease_lifetime_max = std::chrono::hours(24 * 7);
  // What a program may ask for; shorter and longer wishes are brought inside.
  static constexpr Duration requested_lifetime_min = std::chrono::seconds(60);  // what VPN clients of NAT-PMP ask for
  static constexpr Duration requested_lifetime_max = std::chrono::hours(24);
  static constexpr Duration granted_lifetime(Duration wished) { return std::clamp(wished, requested_lifetime_min, requested_lifetime_max); }
};

std::string_view to_string(LeaseKind kind);
std::string_view to_string(LeaseState state);
std::string_view to_string(Door door);

}  // namespace drpf::lease
