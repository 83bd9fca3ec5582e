#include "cli/demo/actors.h"

#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include <fmt/format.h>

#include "cli/demo/limits.h"
#include "cli/demo/stage.h"

namespace drpf::cli::demo {
namespace {

using Steady = std::chrono::steady_clock;

constexpr unsigned mtu_default = 1420;  // of wg-quick(8) on a network of 1500

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

std::optional<Address> DeviceFile::address(Family family) const {
  for (const auto& address : parsed.addresses) {
    if (address.address.family() == family) return address.address;
  }
  return std::nullopt;
}

Result<DeviceFile> read_device_file(std::string text) {
  Result<protocol::wireguard::WgQuickFile> parsed = protocol::wireguard::parse_wg_quick_file(text, "the output of `drpf device add`");
  if (!parsed) return fail(parsed.error());
  DeviceFile file{std::move(text), std::move(*parsed)};
  if (!file.address(Family::v4)) return fail(failure("configuration", "`drpf device add` printed no IPv4 address"));
  return file;
}

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

Result<system::Process> start_drpf_connect(const Machine& machine, const system::Fd& executable, const DeviceFile& file) {
  const std::string path = fmt::format("{}/home-1.conf", stage_folder);
  if (const Status written = write_private(path, file.text); !written) return fail(written.error());
  system::Command command = machine.command({"drpf", "connect", path});
  command.executable = &executable;
  command.log_path = home_1_log;
  return system::Process::start(command);
}

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

}  // namespace drpf::cli::demo
