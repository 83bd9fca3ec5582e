#include "lab/demo/actors.h"

#include <fmt/format.h>

#include "lab/demo/limits.h"
#include "lab/stage/programs.h"
#include "lab/stage/stage.h"

namespace drpf::lab::demo {
namespace {

constexpr unsigned mtu_default = 1420;  // of wg-quick(8) on a network of 1500

}  // namespace

Result<system::Process> start_wireguard_go(const Machine& machine, const DeviceFile& file) {
  const std::string device = home_2_device;
  system::Command command = machine.command({"wireguard-go", "--foreground", device});
  command.log_path = home_2_log;
  command.environment = {{"LOG_LEVEL", "error"}};
  Result<system::Process> process = system::Process::start(command);
  if (!process) return process;
  if (!await(*process, limits::device_connect, [&] { return machine.run({"wg", "show", device}).has_value(); })) {
    return fail(not_up("wireguard-go", *process, limits::device_connect, home_2_log));
  }
  const std::string path = fmt::format("{}/{}.conf", stage_folder, device);
  if (const Status written = write_private(path, file.text); !written) return fail(written.error());
  const Result<std::string> stripped = machine.run({"wg-quick", "strip", path});
  if (!stripped) return fail(stripped.error());
  if (const auto set = machine.run({"wg", "setconf", device, "/dev/stdin"}, *stripped); !set) return fail(set.error());
  std::string lines;
  for (const auto& address : file.parsed.addresses) {
    lines += fmt::format("addr add {} dev {}{}\n", to_string(address), device, address.address.is_v6() ? " nodad" : "");
  }
  lines += fmt::format("link set {} mtu {} up\n", device, file.parsed.mtu.value_or(mtu_default));
  // All goes into the tunnel but the way to the gateway itself.
  lines += fmt::format("route add {} via {}\nroute replace default dev {}\n", gateway_v4, router_2_lan, device);
  if (const auto set = machine.run({"ip", "-batch", "-"}, lines); !set) return fail(set.error());
  if (file.address(Family::v6)) {
    if (const auto set = machine.run({"ip", "-6", "route", "replace", "default", "dev", device}); !set) return fail(set.error());
  }
  return process;
}

}  // namespace drpf::lab::demo
