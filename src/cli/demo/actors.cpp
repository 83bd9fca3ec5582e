#include "cli/demo/actors.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "cli/demo/limits.h"
#include "cli/demo/stage.h"
#include "cli/demo/wg_quick_file.h"

namespace drpf::cli::demo {
namespace {

using Steady = std::chrono::steady_clock;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Status write_private(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  ::chmod(path.c_str(), 0600);
  if (!(file << text << std::flush)) return fail(failure("write", fmt::format("cannot write {}", path)));
  return {};
}

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return {};
  const std::size_t start = text.rfind('\n', end);
  return text.substr(start == std::string::npos ? 0 : start + 1, end - (start == std::string::npos ? 0 : start + 1) + 1);
}

// Until `done` says so; false when the program ended or the limit is over.
template <class Done>
bool await(system::Process& process, Duration limit, Done done) {
  for (const Steady::time_point deadline = Steady::now() + limit; Steady::now() < deadline;
       std::this_thread::sleep_for(limits::poll_interval)) {
    if (done()) return true;
    if (!process.running()) return false;
  }
  return false;
}

Error not_up(const std::string& program, system::Process& process, Duration limit, const std::string& log) {
  const std::string why =
      process.running() ? fmt::format("was not up after {:.0f} s", std::chrono::duration<double>(limit).count()) : "ended";
  return failure("start", fmt::format("{} {}; its last words: {}", program, why, last_line(read_file(log))));
}

}  // namespace

Result<system::Process> start_gateway(const Machine& machine, const system::Fd& executable) {
  const std::string configuration = fmt::format("{}/drpf.toml", stage_folder);
  // An empty file of our own: the gateway finds everything by itself, and the host's /etc/drpf has no say here.
  if (const Status written = write_private(configuration, ""); !written) return fail(written.error());
  const std::size_t said_before = read_file(gateway_log).size();
  system::Command command = machine.command(
      {"drpf", "gateway", "--config", configuration, "--state", fmt::format("{}/gateway", stage_folder), "--socket", gateway_socket});
  command.executable = &executable;
  command.log_path = gateway_log;
  Result<system::Process> process = system::Process::start(command);
  if (!process) return process;
  if (!await(*process, limits::gateway_start, [&] { return read_file(gateway_log).find("READY", said_before) != std::string::npos; })) {
    return fail(not_up("drpf gateway", *process, limits::gateway_start, gateway_log));
  }
  return process;
}

Result<system::Process> start_drpf_connect(const Machine& machine, const system::Fd& executable, const std::string& configuration) {
  const std::string path = fmt::format("{}/home-1.conf", stage_folder);
  if (const Status written = write_private(path, configuration); !written) return fail(written.error());
  system::Command command = machine.command({"drpf", "connect", path});
  command.executable = &executable;
  command.log_path = home_1_log;
  return system::Process::start(command);
}

Result<system::Process> start_wireguard_go(const Machine& machine, const std::string& configuration) {
  const WgQuickFile file = read_wg_quick_file(configuration);
  const std::string device = home_2_device;
  system::Command command = machine.command({"wireguard-go", "--foreground", device});
  command.log_path = home_2_log;
  // It asks users of Linux to take the kernel's WireGuard, and then runs all the same.
  command.environment = {{"LOG_LEVEL", "error"}};
  Result<system::Process> process = system::Process::start(command);
  if (!process) return process;
  if (!await(*process, limits::device_connect, [&] { return machine.run({"wg", "show", device}).has_value(); })) {
    return fail(not_up("wireguard-go", *process, limits::device_connect, home_2_log));
  }
  if (const auto set = machine.run({"wg", "setconf", device, "/dev/stdin"}, file.for_wg); !set) return fail(set.error());
  std::string lines;
  for (const std::string& address : file.addresses) lines += fmt::format("addr add {} dev {} nodad\n", address, device);
  lines += fmt::format("link set {} {} up\n", device, file.mtu.empty() ? "mtu 1420" : "mtu " + file.mtu);
  // All goes into the tunnel but the way to the gateway itself.
  lines += fmt::format("route add {} via {}\nroute replace default dev {}\n", gateway_v4, router_2_lan, device);
  if (const auto set = machine.run({"ip", "-batch", "-"}, lines); !set) return fail(set.error());
  const bool has_v6 = std::any_of(file.addresses.begin(), file.addresses.end(),
                                  [](const std::string& text) { return text.find(':') != std::string::npos; });
  if (has_v6) {
    if (const auto set = machine.run({"ip", "-6", "route", "replace", "default", "dev", device}); !set) return fail(set.error());
  }
  return process;
}

std::optional<Address> tunnel_v4_of(const std::string& configuration) {
  for (const std::string& address : read_wg_quick_file(configuration).addresses) {
    const Result<Address> parsed = parse_address(std::string_view(address).substr(0, address.find('/')));
    if (parsed && parsed->is_v4()) return *parsed;
  }
  return std::nullopt;
}

}  // namespace drpf::cli::demo
