// How a command joins the command line: each adds itself to the tree and leaves what is to be run. For the commands' own files only: it
// carries CLI11's headers.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api_client/admin_client.h"
#include "system/log.h"
#include "terminal/exit_code.h"

namespace drpf::cli {

struct CommandLine {
  std::function<int()> chosen;     // set by the subcommand that was named
  std::vector<std::string> words;  // those behind it
};

// What every command that speaks to the gateway has.
struct AdminOptions {
  std::string socket = api_client::socket_path_default;
  bool json = false;
};

void add_json_flag(CLI::App& command, bool& json);
void add_socket_option(CLI::App& command, std::string& socket);
void add_admin_options(CLI::App& command, AdminOptions& options);
void add_log_level_option(CLI::App& command, system::LogLevel& level);

// Adds `drpf ... name`; `run` gets the options that `declare` has declared.
template <class Options>
CLI::App& add_command(CLI::App& parent, CommandLine& line, const std::string& name, const std::string& what, const std::string& example,
                      std::function<void(CLI::App&, Options&)> declare, std::function<int(const Options&)> run) {
  auto& command = *parent.add_subcommand(name, what);
  command.footer("Example:\n  " + example);
  const auto options = std::make_shared<Options>();  // shared by the parser, which fills it, and the run
  declare(command, *options);
  command.callback([&line, options, run] { line.chosen = [options, run] { return run(*options); }; });
  return command;
}

// Prints the answer as JSON, or as `show` has it.
int print_answer(const Result<boost::json::value>& answer, bool json, const std::function<std::string(const boost::json::value&)>& show);

// One file per command.
void add_gateway_command(CLI::App& root, CommandLine& line);
void add_connect_command(CLI::App& root, CommandLine& line);
void add_firewall_commands(CLI::App& root, CommandLine& line);
void add_proxy_command(CLI::App& root, CommandLine& line);
void add_demo_command(CLI::App& root, CommandLine& line);
void add_account_commands(CLI::App& root, CommandLine& line);
void add_device_commands(CLI::App& root, CommandLine& line);
void add_lease_commands(CLI::App& root, CommandLine& line);
void add_backup_commands(CLI::App& root, CommandLine& line);
void add_who_command(CLI::App& root, CommandLine& line);
void add_ports_command(CLI::App& root, CommandLine& line);
void add_reload_command(CLI::App& root, CommandLine& line);
void add_status_command(CLI::App& root, CommandLine& line);
void add_scan_command(CLI::App& root, CommandLine& line);
// The words behind `drpf scan`, with letters that other scanners have (-sS, -Pn) as its own options; remarks are said on standard error.
Result<std::vector<std::string>> scan_words(const std::vector<std::string>& words);
void add_selftest_command(CLI::App& root, CommandLine& line);
void add_check_command(CLI::App& root, CommandLine& line);
void add_completion_command(CLI::App& root, CommandLine& line);
void add_version_command(CLI::App& root, CommandLine& line);

}  // namespace drpf::cli
