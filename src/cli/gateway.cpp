// `drpf gateway`
#include "daemon/run.h"

#include "cli/command_line.h"

namespace drpf::cli {
namespace {

struct GatewayOptions {
  std::string config;
  std::string log = "text";
  daemon::RunOptions run;
};

}  // namespace

void add_gateway_command(CLI::App& root, CommandLine& line) {
  add_command<GatewayOptions>(
      root, line, "gateway", "Run the gateway in the foreground", "drpf gateway --config /etc/drpf/drpf.toml",
      [](CLI::App& command, GatewayOptions& options) {
        command.add_option("--config", options.config, "Configuration (default: /etc/drpf/drpf.toml if there is one)")->type_name("FILE");
        command.add_option("--state", options.run.state_directory, "Where the book of leases is kept")
            ->type_name("DIR")
            ->capture_default_str();
        add_socket_option(command, options.run.socket_path);
        command.add_option("--log", options.log, "How the log on standard error is written")
            ->type_name("json|text")
            ->check(CLI::IsMember({"json", "text"}));
        add_log_level_option(command, options.run.log.level);
        command.add_flag("--end-leases", options.run.end_leases,
                         "Start although the configuration ends leases or gives devices other addresses");
        command.add_flag("--plain-table", options.run.plain_table, "As on kernels before 6.9: others can change our table")->group("");
      },
      [](const GatewayOptions& options) {
        auto run = options.run;
        if (!options.config.empty()) run.config_file = options.config;
        run.log.json = options.log == "json";
        return daemon::run(run);
      });
}

}  // namespace drpf::cli
