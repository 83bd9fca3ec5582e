// `drpf version`
#include "cli/command_line.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

struct VersionOptions {
  bool json = false;
};

}  // namespace

void add_version_command(CLI::App& root, CommandLine& line) {
  add_command<VersionOptions>(
      root, line, "version", "Print the version", "drpf version --json",
      [](CLI::App& command, VersionOptions& options) { add_json_flag(command, options.json); },
      [](const VersionOptions& options) -> int {
        return terminal::print(options.json ? R"({"version":")" DRPF_VERSION "\"}\n" : "drpf " DRPF_VERSION "\n");
      });
}

}  // namespace drpf::cli
