// `drpf demo`
#include "lab/demo/demo.h"
#include "cli/command_line.h"

namespace drpf::cli {

void add_demo_command(CLI::App& root, CommandLine& line) {
  add_command<lab::demo::DemoOptions>(
      root, line, "demo", "Show everything on this machine, in networks that vanish with it", "drpf demo --once --json",
      [](CLI::App& command, lab::demo::DemoOptions& options) {
        command.add_flag("--once", options.once,
                         "Leave after the show: 0 if every fact was observed, 1 if not, 69 if this machine lacks something");
        add_json_flag(command, options.json);
        command.add_flag("--logs", options.logs, "Where a fact did not hold: print the programs' logs to standard error");
      },
      [](const lab::demo::DemoOptions& options) { return lab::demo::run_demo(options); });
}

}  // namespace drpf::cli
