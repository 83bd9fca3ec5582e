// `drpf connect`
#include "client/connect/connect.h"

#include "cli/command_line.h"

namespace drpf::cli {
namespace {

struct ConnectCommandOptions {
  client::ConnectOptions connect;
  std::string interface;
  std::string ports_file;
  std::string status_file;
  std::string on_change;
  std::string on_up;
  std::string on_down;
  std::string on_lease;
  std::vector<std::string> inform;
  std::vector<std::string> follow;
  std::string share;
  std::string let_in;
  std::vector<std::string> proxy;
  bool no_kill_switch = false;
};

void take(const std::string& text, std::optional<std::string>& to) {
  if (!text.empty()) to = text;
}

Status take_inform(const std::vector<std::string>& texts, client::ConnectOptions& to) {
  if (texts.size() > client::inform_wishes_max)
    return fail(invalid("bad_inform", "more than " + std::to_string(client::inform_wishes_max) + " times --inform", "Use --on-change."));
  for (const auto& text : texts) {
    auto wish = client::parse_inform_wish(text);
    if (!wish) return fail(wish.error());
    to.inform.push_back(std::move(*wish));
  }
  return {};
}

Status take_follow(const std::vector<std::string>& texts, client::ConnectOptions& to) {
  for (const auto& text : texts) {
    auto rules = client::parse_follow_rules(text);
    if (!rules) return fail(rules.error());
    to.follow.insert(to.follow.end(), rules->begin(), rules->end());
  }
  if (to.follow.size() > client::follow_rules_max)
    return fail(invalid("bad_follow", "more than " + std::to_string(client::follow_rules_max) + " programs to follow", "Name fewer."));
  return {};
}

Status take_let_in(const std::string& text, client::ConnectOptions& to) {
  if (text.empty()) return {};
  auto open = client::parse_open_ports(text);
  if (!open) return fail(open.error());
  to.let_in = std::move(*open);
  return {};
}

Status take_proxy(const std::vector<std::string>& texts, client::ConnectOptions& to) {
  for (const auto& text : texts) {
    const auto endpoint = parse_endpoint(text);
    if (!endpoint) return fail(endpoint.error());
    to.proxy.listen.push_back(*endpoint);
  }
  return {};
}

}  // namespace

void add_connect_command(CLI::App& root, CommandLine& line) {
  add_command<ConnectCommandOptions>(
      root, line, "connect", "Connect this machine to a gateway and show its ports",
      "drpf connect laptop.conf --inform qbittorrent=http://127.0.0.1:8080\n  drpf connect laptop.conf --ports-file /run/ports --on-lease "
      "'logger {{EVENT}} {{PORT}}/{{PROTOCOL}}'\n  drpf connect router.conf --inbound-only --share eth1",
      [](CLI::App& command, ConnectCommandOptions& options) {
        command.add_option("file", options.connect.file, "The wg-quick file that `drpf device add` printed")->required()->type_name("FILE");
        command.add_flag("--inbound-only", options.connect.inbound_only,
                         "Keep this machine's own default route: only answers to visitors use the tunnel");
        command.add_option("--interface", options.interface, "Name of the tunnel interface (default: the file's name)")->type_name("NAME");
        command.add_option("--ports-file", options.ports_file, "Keep this file up to date: one public port per line")->type_name("FILE");
        command.add_option("--status-file", options.status_file, "Keep this file up to date: one JSON object with all of it")
            ->type_name("FILE");
        command.add_option("--on-change", options.on_change, "Run this when the ports change; {{PORTS}} stands for them")->type_name("CMD");
        command.add_option("--on-up", options.on_up, "Run this when ports are there or have changed; as gluetun's UP_COMMAND")
            ->type_name("CMD");
        command.add_option("--on-down", options.on_down, "Run this when they are gone; {{PORTS}} are those that were")->type_name("CMD");
        command
            .add_option("--on-lease", options.on_lease,
                        "Run this for each port that comes, changes or ends: {{EVENT}} {{PORT}} {{PROTOCOL}}")
            ->type_name("CMD");
        command
            .add_option(
                "--inform", options.inform,
                "Set this program's listening port: qbittorrent=URL or transmission=URL; then perhaps ,port=N (the N-th of the ports) "
                "and ,password-file=FILE")
            ->type_name("PROGRAM=URL")
            ->allow_extra_args(false);
        command
            .add_option("--follow", options.follow,
                        "Give a public port to each port on which these programs listen, as long as they do: NAME[:PORTS],... with their "
                        "exact names; PORTS as 25565+27015-27020/udp+!27016")
            ->type_name("NAMES")
            ->allow_extra_args(false);
        command
            .add_option("--share", options.share,
                        "Answer NAT-PMP, PCP and UPnP on this interface, so that a console or another machine there gets a public port")
            ->type_name("IFACE");
        command
            .add_option("--let-in", options.let_in,
                        "What may come out of the tunnel beside answers and visits to leased ports: ports of this machine "
                        "(22,8000-8010/udp), or all")
            ->type_name("PORTS");
        command
            .add_option("--may-ask", options.connect.askers,
                        "Machines behind this interface may ask the gateway for ports in this device's name, which else its own programs "
                        "alone may")
            ->type_name("IFACE")
            ->allow_extra_args(false);
        command.add_option("--proxy", options.proxy, "Let machines near this address use the tunnel by a proxy (docs/proxy.md)")
            ->type_name("ADDRESS:PORT")
            ->allow_extra_args(false);
        command.add_flag("--no-kill-switch", options.no_kill_switch, "Full tunnel: let traffic out beside the tunnel when it is down");
        auto* status = command.add_flag("--status", options.connect.status, "Only say whether this machine is closed, and why");
        auto* close = command.add_flag("--close", options.connect.close, "Only set the kill switch, as at the start of the machine");
        auto* clean_up = command.add_flag("--clean-up", options.connect.clean_up, "Only open: clear all that a drpf connect left");
        status->excludes(close)->excludes(clean_up);
        close->excludes(clean_up);
        command.add_flag("--stay-closed", options.connect.stay_closed,
                         "A signal ends the program and leaves the kill switch: --clean-up opens it");
        command.add_option("--state", options.connect.state_directory, "Where the lock and the notes for cleaning up are")
            ->type_name("DIR")
            ->capture_default_str();
        add_log_level_option(command, options.connect.log_level);
        add_json_flag(command, options.connect.json);
      },
      [](const ConnectCommandOptions& options) {
        auto connect = options.connect;
        take(options.interface, connect.interface);
        take(options.ports_file, connect.ports_file);
        take(options.status_file, connect.status_file);
        take(options.on_change, connect.hooks.on_change);
        take(options.on_up, connect.hooks.on_up);
        take(options.on_down, connect.hooks.on_down);
        take(options.on_lease, connect.hooks.on_lease);
        take(options.share, connect.share);
        for (const auto& taken : {take_inform(options.inform, connect), take_follow(options.follow, connect),
                                  take_let_in(options.let_in, connect), take_proxy(options.proxy, connect)}) {
          if (taken) continue;
          terminal::report(taken.error());
          return static_cast<int>(terminal::exit_usage);
        }
        connect.kill_switch = !options.no_kill_switch;
        return client::connect(connect);
      });
}

}  // namespace drpf::cli
