// `drpf backup` and `drpf restore`
#include "store/sqlite/backup.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <chrono>

#include "cli/command_line.h"
#include "daemon/run.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;
using store::sqlite::BackupSummary;

struct BackupOptions : AdminOptions {
  std::string file;
  bool force = false;
};

struct RestoreOptions {
  std::string file;
  std::string state = daemon::RunOptions{}.state_directory;
  bool force = false;
  bool json = false;
};

std::string time_text(WallTime time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

std::string contents_text(const BackupSummary& summary) {
  return fmt::format("{} accounts, {} devices, {} leases, last changed {}", summary.accounts, summary.devices, summary.leases,
                     time_text(summary.written));
}

json::object to_json(const std::string& file, const BackupSummary& summary) {
  return {{"file", file},
          {"accounts", summary.accounts},
          {"devices", summary.devices},
          {"leases", summary.leases},
          {"written", time_text(summary.written)}};
}

int back_up(const BackupOptions& options) {
  const auto image = api_client::AdminClient(options.socket).download("/v1/backup");
  if (!image) return terminal::report(image.error());
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(image->data());
  const auto written = store::sqlite::write_backup(ByteView(bytes, image->size()), options.file, options.force);
  if (!written) return terminal::report(written.error());
  if (options.json) return terminal::print(json::serialize(to_json(options.file, *written)) + "\n");
  return terminal::print(fmt::format("{}: {}\nThe gateway's and devices' private keys are in it: keep it as you keep those.\n",
                                     options.file, contents_text(*written)));
}

int put_back(const RestoreOptions& options) {
  const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  const auto restored = store::sqlite::restore(options.file, options.state, {options.force, WallTime(now.time_since_epoch())});
  if (!restored) return terminal::report(restored.error());
  if (options.json) {
    auto answer = to_json(options.file, restored->summary);
    answer["state"] = options.state;
    if (!restored->kept.empty()) answer["kept"] = restored->kept;
    return terminal::print(json::serialize(answer) + "\n");
  }
  auto text = fmt::format("{} holds the backup now: {}\n", options.state, contents_text(restored->summary));
  text += "Where the gateway that it is of still runs on another machine, end that one first: both would take each other's devices.\n";
  if (!restored->kept.empty()) text += fmt::format("The book that was there is kept: {}\n", restored->kept);
  return terminal::print(text + "Start the gateway: leases whose end has passed are dropped, devices made after the backup are unknown.\n");
}

}  // namespace

void add_backup_commands(CLI::App& root, CommandLine& line) {
  add_command<BackupOptions>(
      root, line, "backup", "Write the running gateway's book and keys into a file", "drpf backup /var/backups/drpf.db",
      [](CLI::App& command, BackupOptions& options) {
        command.add_option("file", options.file, "Where to; only its owner may read it")->required()->type_name("FILE");
        command.add_flag("--force", options.force, "Replace an older backup of that name");
        add_admin_options(command, options);
      },
      back_up);
  add_command<RestoreOptions>(
      root, line, "restore", "Put a backup in the place of the book, while the gateway is stopped", "drpf restore /var/backups/drpf.db",
      [](CLI::App& command, RestoreOptions& options) {
        command.add_option("file", options.file, "A file that `drpf backup` has made")->required()->type_name("FILE");
        command.add_option("--state", options.state, "The gateway's state directory")->type_name("DIR")->capture_default_str();
        command.add_flag("--force", options.force, "Also where a sound book is; it is kept beside");
        add_json_flag(command, options.json);
      },
      put_back);
}

}  // namespace drpf::cli
