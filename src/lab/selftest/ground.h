// The ground of the self-test: an Internet host, a gateway with the operator's configuration, and three devices with real tunnels, each on
// a machine of its own. Builds it and asks the gateway for leases; attacks nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api_client/admin_client.h"
#include "configuration/configuration.h"
#include "configuration/lab_configuration.h"
#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "lab/selftest/ends.h"
#include "lab/stage/admin.h"
#include "lab/stage/machine.h"
#include "lab/stage/programs.h"
#include "system/fd.h"
#include "system/process.h"
#include "terminal/progress.h"

namespace drpf::lab::selftest {

// Addresses of the documentation blocks (RFC 5737, RFC 3849), which the real Internet does not have.
inline constexpr const char* public_interface = "eth0";

// A device on its machine.
struct Actor {
  std::string name;  // at the gateway, and of its tunnel interface
  lab::Machine machine;
  Watch watch;
  Address wan_v4;
  std::optional<Address> wan_v6;
  lab::DeviceFile file = {};
  system::Process tunnel = {};

  Address wan(Family family) const { return family == Family::v4 ? wan_v4 : *wan_v6; }
  Address inside(Family family) const { return *file.address(family); }
};

struct Ground {
  // What the machines are and where; the gateway is not started yet.
  static Result<Ground> build(const system::Fd& executable, configuration::LabConfiguration configuration);
  // Gateway, accounts, devices; returns when all are connected.
  Status open(terminal::Progress& progress);

  Status start_gateway();
  Status connect(Actor& actor, Family outer);
  // Where the gateway was killed and its tunnel is gone: an interface of the same name and network, and the way back.
  Status stand_in_for_tunnel() const;
  Status revive();

  // A port of its own for one attack, leased to this device for TCP and UDP. What cannot be had is an error.
  Result<Port> lease(const Actor& to, std::optional<Port> port = std::nullopt) const;
  // After this the lease is over.
  Status end_lease(Port port) const;
  Result<std::vector<lab::LeaseRow>> leases() const;
  bool await_active(const Actor& actor, Duration limit) const;
  bool await_visit(Actor& actor, Duration limit);  // until a visitor's packet comes through one of its leases

  Address gateway_public(Family family) const { return family == Family::v4 ? *public_v4 : *public_v6; }
  Address visitor_address(Family family) const;
  Address any(Family family) const { return family == Family::v4 ? Address::v4(0) : *parse_address("::"); }
  std::string token();  // a text that no packet has had before
  void forget();        // all watches

  const configuration::Configuration& settings() const { return configuration.settings; }

  const system::Fd* executable;
  configuration::LabConfiguration configuration;
  lab::Machine visitor;
  lab::Machine gateway_machine;
  Watch visitor_watch;
  Watch gateway_watch;
  Actor attacker;  // account mallory
  Actor owner;     // account owner; its outer address is IPv6 where there is one
  Actor second;    // account owner: its other device
  std::optional<Address> public_v4;
  std::optional<Address> public_v6;
  bool has_v6 = false;  // tunnel and public side
  system::Process gateway = {};
  std::uint64_t tokens = 0;
};

}  // namespace drpf::lab::selftest
