// The real programs on the machines: our gateway, our device's side, a stock WireGuard client, and servers that know nothing of us.
#pragma once

#include <optional>
#include <string>

#include "cli/demo/topology.h"
#include "core/address.h"
#include "core/result.h"
#include "protocol/wireguard/wg_quick_file.h"
#include "system/fd.h"
#include "system/process.h"

namespace drpf::cli::demo {

inline constexpr const char* gateway_socket = "/run/drpf-demo/gateway.sock";
inline constexpr const char* gateway_log = "/run/drpf-demo/gateway.log";
inline constexpr const char* home_1_log = "/run/drpf-demo/home-1.log";
inline constexpr const char* home_2_log = "/run/drpf-demo/home-2.log";
inline constexpr const char* home_2_device = "wg0";

// What `drpf device add` printed.
struct DeviceFile {
  std::string text = {};
  protocol::wireguard::WgQuickFile parsed = {};
  std::optional<Address> address(Family family) const;  // of the device, inside the tunnel
};
Result<DeviceFile> read_device_file(std::string text);

// `drpf gateway` until it says READY.
Result<system::Process> start_gateway(const Machine& machine, const system::Fd& executable);

// Home 1: `drpf connect FILE`. Returns when it runs, not when it is connected.
Result<system::Process> start_drpf_connect(const Machine& machine, const system::Fd& executable, const DeviceFile& file);

// Home 2: what wg-quick(8) would do with the file, in Debian's wireguard-go.
Result<system::Process> start_wireguard_go(const Machine& machine, const DeviceFile& file);

}  // namespace drpf::cli::demo
