// `drpf connect`
#include "client/connect.h"

#include "cli/command_line.h"

namespace drpf::cli {
namespace {

struct ConnectCommandOptions {
  client::ConnectOptions connect;
  std::string interface;
  std::string ports_file;
  std::string on_change;
  bool no_kill_switch = false;
};

void take(const std::string& text, std::optional<std::string>& to) {
  if (!text.empty()) to = text;
}

}  // namespace

void add_connect_command(CLI::App& root, CommandLine& line) {
  add_command<ConnectCommandOptions>(
      root, line, "connect", "Connect this machine to a gateway and show its ports", "drpf connect laptop.conf --ports-file /run/ports",
      [](CLI::App& command, ConnectCommandOptions& options) {
        command.add_option("file", options.connect.file, "The wg-quick file that `drpf device add` printed")->required()->type_name("FILE");
        command.add_flag("--inbound-only", options.connect.inbound_only,
                         "Keep this machine's own default route: only answers to visitors use the tunnel");
        command.add_option("--interface", options.interface, "Name of the tunnel interface (default: the file's name)")->type_name("NAME");
        command.add_option("--ports-file", options.ports_file, "Keep this file up to date: one public port per line")->type_name("FILE");
        command.add_option("--on-change", options.on_change, "Run this when the ports change; {{PORTS}} stands for them")->type_name("CMD");
        command.add_flag("--no-kill-switch", options.no_kill_switch, "Full tunnel: let traffic out beside the tunnel when it is down");
        command.add_flag("--clean-up", options.connect.clean_up, "Only clear what a killed predecessor left");
        command.add_option("--state", options.connect.state_directory, "Where the lock and the notes for cleaning up are")
            ->type_name("DIR")
            ->capture_default_str();
        add_json_flag(command, options.connect.json);
      },
      [](const ConnectCommandOptions& options) {
        auto connect = options.connect;
        take(options.interface, connect.interface);
        take(options.ports_file, connect.ports_file);
        take(options.on_change, connect.on_change);
        connect.kill_switch = !options.no_kill_switch;
        return client::connect(connect);
      });
}

}  // namespace drpf::cli
