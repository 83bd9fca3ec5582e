// The real programs on the machines: our gateway, our device's side, a stock WireGuard client, and servers that know nothing of us.
#pragma once

#include <optional>
#include <string>

#include "cli/demo/topology.h"
#include "core/address.h"
#include "core/result.h"
#include "system/fd.h"
#include "system/process.h"

namespace drpf::cli::demo {

inline constexpr const char* gateway_socket = "/run/drpf-demo/gateway.sock";
inline constexpr const char* gateway_log = "/run/drpf-demo/gateway.log";
inline constexpr const char* home_1_log = "/run/drpf-demo/home-1.log";
inline constexpr const char* home_2_log = "/run/drpf-demo/home-2.log";
inline constexpr const char* home_2_device = "wg0";

// `drpf gateway` until it says READY.
Result<system::Process> start_gateway(const Machine& machine, const system::Fd& executable);

// Home 1: `drpf connect FILE`. Returns when it runs, not when it is connected.
Result<system::Process> start_drpf_connect(const Machine& machine, const system::Fd& executable, const std::string& configuration);

// Home 2: what wg-quick(8) would do with the file, in Debian's wireguard-go.
Result<system::Process> start_wireguard_go(const Machine& machine, const std::string& configuration);

// The device's IPv4 address inside the tunnel.
std::optional<Address> tunnel_v4_of(const std::string& configuration);

}  // namespace drpf::cli::demo
