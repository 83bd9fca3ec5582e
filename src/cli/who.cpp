// `drpf who`: which account held a public port at a given time. The answer to a report of abuse.
#include <fmt/format.h>

#include "cli/command_line.h"
#include "cli/port_argument.h"
#include "net/http_message.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;

struct WhoOptions : AdminOptions {
  std::string address;
  std::string port;
  std::string at;
  unsigned within_s = 0;
};

std::string holders_table(const json::value& found) {
  terminal::Table table({"ACCOUNT", "DEVICE", "PROTOCOL", "FROM", "UNTIL"});
  for (const auto& past : found.as_array()) {
    const auto until = api_client::text_of(past, "until");
    table.add({{api_client::text_of(past, "account")},
               {api_client::text_of(past, "device")},
               {api_client::text_of(past, "protocol")},
               {api_client::text_of(past, "from")},
               {until.empty() ? "now" : until, until.empty() ? terminal::Colour::green : terminal::Colour::plain}});
  }
  return table.empty() ? "nobody: the port was not leased then, or it is longer ago than [leases] history\n"
                       : table.text(terminal::standard_output_has_colour());
}

int who(const WhoOptions& options) {
  const auto argument = parse_port_argument(options.port);
  if (!argument) return terminal::report(argument.error());
  if (!argument->ports || argument->ports->size() > 1)
    return terminal::report(wrong_usage("a question is about one port", "give the public port's number"));
  auto target = fmt::format("/v1/history?address={}&port={}", net::percent_encode(options.address), to_string(argument->ports->first()));
  if (argument->protocol) target += fmt::format("&protocol={}", to_string(*argument->protocol));
  if (!options.at.empty()) target += "&at=" + net::percent_encode(options.at);
  if (options.within_s > 0) target += fmt::format("&within_s={}", options.within_s);
  return print_answer(api_client::AdminClient(options.socket).get(target), options.json, holders_table);
}

}  // namespace

void add_who_command(CLI::App& root, CommandLine& line) {
  add_command<WhoOptions>(
      root, line, "who", "Tell which account held a public port at a given time",
      "drpf who 198.51.100.1 24550/tcp --at 2026-03-01T12:00:00Z --within 60",
      [](CLI::App& command, WhoOptions& options) {
        command.add_option("address", options.address, "The public address")->required()->type_name("ADDRESS");
        command.add_option("port", options.port, "The public port: 24550, 24550/tcp")->required()->type_name("PORT");
        command.add_option("--at", options.at, "When; now unless given")->type_name("TIME");
        command.add_option("--within", options.within_s, "Seconds before and after that count too: clocks differ")->type_name("SECONDS");
        add_admin_options(command, options);
      },
      who);
}

}  // namespace drpf::cli
