#include "cli/commands.h"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "cli/command_line.h"
#include "cli/wrong_words.h"
#include "terminal/terminal.h"

namespace drpf::cli {

void add_json_flag(CLI::App& command, bool& json) { command.add_flag("--json", json, "Print JSON, for scripts"); }

void add_socket_option(CLI::App& command, std::string& socket) {
  command.add_option("--socket", socket, "The gateway's unix socket")->envname("DRPF_SOCKET")->type_name("PATH")->capture_default_str();
}

void add_admin_options(CLI::App& command, AdminOptions& options) {
  add_json_flag(command, options.json);
  add_socket_option(command, options.socket);
}

void add_log_level_option(CLI::App& command, system::LogLevel& level) {
  command
      .add_option_function<std::string>(
          "--log-level", [&level](const std::string& word) { level = *system::parse_log_level(word); },
          "What is logged: this and what is graver (default: info)")
      ->envname("DRPF_LOG_LEVEL")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
}

int print_answer(const Result<boost::json::value>& answer, bool json, const std::function<std::string(const boost::json::value&)>& show) {
  if (!answer) return terminal::report(answer.error());
  return terminal::print(json ? boost::json::serialize(*answer) + "\n" : show(*answer));
}

namespace {

// `drpf help lease add` is `drpf lease add --help`, and `drpf scan` knows letters that are no options of CLI11's kind.
Result<std::vector<std::string>> words_of(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (!words.empty() && words.front() == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  if (!words.empty() && words.front() == "scan") {
    auto translated = scan_words({words.begin() + 1, words.end()});
    if (!translated) return fail(translated.error());
    translated->insert(translated->begin(), "scan");
    words = std::move(*translated);
  }
  return words;
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App root("Ports on the public Internet for machines behind NAT: a VPN gateway that leases them, and its client.", "drpf");
  CommandLine line;
  add_demo_command(root, line);
  add_gateway_command(root, line);
  add_account_commands(root, line);
  add_device_commands(root, line);
  add_lease_commands(root, line);
  add_who_command(root, line);
  add_ports_command(root, line);
  add_status_command(root, line);
  add_reload_command(root, line);
  add_check_command(root, line);
  add_scan_command(root, line);
  add_selftest_command(root, line);
  add_backup_commands(root, line);
  add_connect_command(root, line);
  add_firewall_commands(root, line);
  add_proxy_command(root, line);
  add_completion_command(root, line);
  add_version_command(root, line);
  root.set_version_flag("--version", "drpf " DRPF_VERSION);
  root.footer("`drpf COMMAND --help` explains a command. `drpf demo` shows everything on this machine.");
  root.require_subcommand(1);
  const auto words = words_of(argc, argv);
  if (!words) return terminal::report(words.error());
  if (!words->empty()) line.words.assign(words->begin() + 1, words->end());
  try {
    root.parse(std::vector<std::string>(words->rbegin(), words->rend()));  // CLI11 takes them from the last to the first
  } catch (const CLI::Success& help) {
    if (const auto wrong = wrong_word(root, *words)) return terminal::report(*wrong);
    return root.exit(help);
  } catch (const CLI::ParseError& error) {
    if (argc <= 1) {
      std::fputs(root.help().c_str(), stderr);
      return terminal::exit_usage;
    }
    if (const auto wrong = wrong_word(root, *words)) return terminal::report(*wrong);
    if (const auto missing = missing_command(root, *words)) return terminal::report(*missing);
    return terminal::report(wrong_usage(error.what(), "`drpf --help` and `drpf COMMAND --help` show what is possible"));
  }
  return line.chosen ? line.chosen() : terminal::exit_usage;
}

}  // namespace drpf::cli
