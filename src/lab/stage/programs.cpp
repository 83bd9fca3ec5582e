#include "lab/stage/programs.h"

#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include <fmt/format.h>

#include "lab/stage/limits.h"
#include "lab/stage/stage.h"
#include "system/text_file.h"

namespace drpf::lab {
namespace {

using Steady = std::chrono::steady_clock;

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return {};
  const std::size_t start = text.rfind('\n', end);
  return text.substr(start == std::string::npos ? 0 : start + 1, end - (start == std::string::npos ? 0 : start + 1) + 1);
}

}  // namespace

Status write_private(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  ::chmod(path.c_str(), 0600);
  if (!(file << text << std::flush)) return fail(failure("write", fmt::format("cannot write {}", path)));
  return {};
}

bool await(system::Process& process, Duration limit, const std::function<bool()>& done) {
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
  return failure("start", fmt::format("{} {}; its last words: {}", program, why, last_line(system::read_text_file(log))));
}

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

Result<system::Process> start_gateway(const Machine& machine, const system::Fd& executable, const std::string& configuration) {
  // A file of our own, be it empty: the host's /etc/drpf has no say here.
  const std::string path = fmt::format("{}/drpf.toml", stage_folder);
  if (const Status written = write_private(path, configuration); !written) return fail(written.error());
  const std::size_t said_before = system::read_text_file(gateway_log).size();
  system::Command command = machine.command(
      {"drpf", "gateway", "--config", path, "--state", fmt::format("{}/gateway", stage_folder), "--socket", gateway_socket});
  command.executable = &executable;
  command.log_path = gateway_log;
  Result<system::Process> process = system::Process::start(command);
  if (!process) return process;
  if (!await(*process, limits::gateway_start,
             [&] { return system::read_text_file(gateway_log).find("READY", said_before) != std::string::npos; })) {
    return fail(not_up("drpf gateway", *process, limits::gateway_start, gateway_log));
  }
  return process;
}

Result<system::Process> start_drpf_connect(const Machine& machine, const system::Fd& executable, const std::string& name,
                                           const DeviceFile& file, const std::string& log_path, const std::vector<std::string>& options) {
  const std::string path = fmt::format("{}/{}.conf", stage_folder, name);
  if (const Status written = write_private(path, file.text); !written) return fail(written.error());
  std::vector<std::string> arguments{"drpf", "connect", path};
  arguments.insert(arguments.end(), options.begin(), options.end());
  system::Command command = machine.command(std::move(arguments));
  command.executable = &executable;
  command.log_path = log_path;
  return system::Process::start(command);
}

}  // namespace drpf::lab
