// `drpf selftest`
#include "lab/selftest/selftest.h"
#include "cli/command_line.h"

namespace drpf::cli {

void add_selftest_command(CLI::App& root, CommandLine& line) {
  add_command<lab::selftest::SelftestOptions>(
      root, line, "selftest", "Attack a gateway with this host's configuration, in networks of its own", "sudo drpf selftest --only shadow",
      [](CLI::App& command, lab::selftest::SelftestOptions& options) {
        command.add_option("--config", options.config, "Configuration (default: /etc/drpf/drpf.toml if there is one)")->type_name("FILE");
        command.add_option("--only", options.only, "Only the threats with this word in their name")->type_name("WORD");
        add_json_flag(command, options.json);
        command.add_flag("--logs", options.logs, "Where a threat is not closed: print the programs' logs to standard error");
      },
      lab::selftest::run_selftest);
}

}  // namespace drpf::cli
