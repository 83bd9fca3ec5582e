// Our own programs on a lab's machines: the gateway and the device's side, with files that `drpf device add` printed. Judges nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "lab/stage/machine.h"
#include "protocol/wireguard/wg_quick_file.h"
#include "system/fd.h"
#include "system/process.h"

namespace drpf::lab {

inline constexpr const char* gateway_socket = "/run/drpf-lab/gateway.sock";
inline constexpr const char* gateway_log = "/run/drpf-lab/gateway.log";

// What `drpf device add` printed.
struct DeviceFile {
  std::string text = {};
  protocol::wireguard::WgQuickFile parsed = {};
  std::optional<Address> address(Family family) const;  // of the device, inside the tunnel
};
Result<DeviceFile> read_device_file(std::string text);

// `drpf gateway` with this configuration until it says READY.
Result<system::Process> start_gateway(const Machine& machine, const system::Fd& executable, const std::string& configuration);

// `drpf connect FILE ...`, its log in `log_path`. Returns when it runs, not when it is connected. `name` is the tunnel interface's.
Result<system::Process> start_drpf_connect(const Machine& machine, const system::Fd& executable, const std::string& name,
                                           const DeviceFile& file, const std::string& log_path,
                                           const std::vector<std::string>& options = {});

Status write_private(const std::string& path, const std::string& text);

// Until `done` says so; false when the program ended or the limit is over.
bool await(system::Process& process, Duration limit, const std::function<bool()>& done);
// Why it was not up, with the last line of its log.
Error not_up(const std::string& program, system::Process& process, Duration limit, const std::string& log);

}  // namespace drpf::lab
