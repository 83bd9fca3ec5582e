// `drpf reload`
#include "api/json_text.h"
#include "cli/command_line.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;

struct ReloadOptions : AdminOptions {
  bool end_leases = false;
};

std::string changes_page(const json::value& answer) {
  const auto& changed = api_client::list_of(answer, "changed");
  if (changed.empty()) return "the configuration says what it said: nothing has changed\n";
  std::string text;
  for (const auto& key : changed)
    if (key.is_string()) text += "changed  " + api::printable(key.get_string().c_str()) + "\n";
  if (const auto ended = api_client::number_of(answer, "leases_ended"); ended > 0)
    text += "leases   " + std::to_string(ended) + " ended; the log names them\n";
  return text;
}

}  // namespace

void add_reload_command(CLI::App& root, CommandLine& line) {
  add_command<ReloadOptions>(
      root, line, "reload", "Have the gateway read its configuration again, whole or not at all", "drpf reload",
      [](CLI::App& command, ReloadOptions& options) {
        command.add_flag("--end-leases", options.end_leases, "Also where the change ends or moves leases");
        add_admin_options(command, options);
      },
      [](const ReloadOptions& options) {
        return print_answer(api_client::AdminClient(options.socket).post("/v1/reload", json::object{{"end_leases", options.end_leases}}),
                            options.json, changes_page);
      });
}

}  // namespace drpf::cli
