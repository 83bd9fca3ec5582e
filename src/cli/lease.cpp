// `drpf lease ...`
#include <fmt/format.h>

#include <set>

#include "cli/command_line.h"
#include "cli/lease_test.h"
#include "cli/port_argument.h"
#include "net/http_message.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;

struct LeaseOptions : AdminOptions {
  std::string device;
  std::string port;
  std::string host;
  int local_port = -1;
  int count = 1;

  api_client::AdminClient gateway() const { return api_client::AdminClient(socket); }
};

std::string endpoint(const std::string& address, const std::string& port) {
  if (address.empty()) return "?:" + port;
  return (address.find(':') == std::string::npos ? address : "[" + address + "]") + ":" + port;
}

std::string leases_table(const json::value& leases) {
  terminal::Table table({"PUBLIC", "PROTOCOL", "DEVICE", "LOCAL", "SERVICE", "ACCOUNT", "KIND", "STATE", "UNTIL"});
  for (const auto& lease : leases.as_array()) {
    const bool active = api_client::text_of(lease, "state") == "active";
    table.add({{endpoint(api_client::text_of(lease, "public_address"), api_client::text_of(lease, "public_port"))},
               {api_client::text_of(lease, "protocol")},
               {api_client::text_of(lease, "device")},
               {endpoint(api_client::text_of(lease, "local_address"), api_client::text_of(lease, "local_port"))},
               {api_client::text_of(lease, "service")},
               {api_client::text_of(lease, "account")},
               {api_client::text_of(lease, "kind")},
               {api_client::text_of(lease, "state"), active ? terminal::Colour::green : terminal::Colour::dim},
               // The deadline of an active lease moves on by itself while the device is connected.
               {active && api_client::text_of(lease, "kind") != "requested" ? "disconnected" : api_client::text_of(lease, "expires_at")}});
  }
  return table.empty() ? "no leases yet: a device gets its ports when it connects\n" : table.text(terminal::standard_output_has_colour());
}

// The leases that a PORT argument means: each host and protocol once.
Result<std::set<std::string>> find_targets(const LeaseOptions& options) {
  const auto argument = parse_port_argument(options.port);
  if (!argument) return fail(argument.error());
  if (!argument->port) return fail(wrong_usage("'any' names no lease", "give the public port's number"));
  const auto leases = options.gateway().get("/v1/leases");
  if (!leases) return fail(leases.error());
  std::set<std::string> hosts;
  std::set<std::string> targets;
  for (const auto& lease : leases->as_array()) {
    const auto host = api_client::text_of(lease, "host");
    if (api_client::number_of(lease, "public_port") != argument->port->value()) continue;
    if (argument->protocol && api_client::text_of(lease, "protocol") != to_string(*argument->protocol)) continue;
    if (!options.host.empty() && host != options.host) continue;
    hosts.insert(host);
    targets.insert("/v1/leases/" + net::percent_encode(host) + "/" + api_client::text_of(lease, "protocol") + "/" +
                   to_string(*argument->port));
  }
  if (targets.empty()) return fail(not_found("lease_unknown", "there is no lease on port " + options.port, "see `drpf lease list`"));
  if (hosts.size() > 1) {
    std::string names;
    for (const auto& host : hosts) names += (names.empty() ? "" : ", ") + host;
    return fail(wrong_usage("port " + options.port + " is leased on several hosts: " + names, "name one: --host HOST"));
  }
  return targets;
}

int add_lease(const LeaseOptions& options) {
  const auto argument = parse_port_argument(options.port);
  if (!argument) return terminal::report(argument.error());
  json::object body{{"device", options.device}, {"count", options.count}};
  if (argument->port) body["port"] = argument->port->value();
  if (argument->protocol) body["protocol"] = std::string(to_string(*argument->protocol));
  if (options.local_port >= 0) body["local_port"] = options.local_port;
  if (!options.host.empty()) body["host"] = options.host;
  return print_answer(options.gateway().post("/v1/leases", body), options.json, leases_table);
}

int set_lease(const LeaseOptions& options) {
  const auto targets = find_targets(options);
  if (!targets) return terminal::report(targets.error());
  json::array changed;
  for (const auto& target : *targets) {
    const auto answer = options.gateway().patch(target, json::object{{"local_port", options.local_port}});
    if (!answer) return terminal::report(answer.error());
    if (answer->is_array()) changed.insert(changed.end(), answer->get_array().begin(), answer->get_array().end());
  }
  return print_answer(json::value(std::move(changed)), options.json, leases_table);
}

int remove_lease(const LeaseOptions& options) {
  const auto targets = find_targets(options);
  if (!targets) return terminal::report(targets.error());
  for (const auto& target : *targets)
    if (const auto answer = options.gateway().remove(target); !answer) return terminal::report(answer.error());
  return terminal::print(options.json ? "null\n" : fmt::format("port {} is closed\n", options.port));
}

void declare_port(CLI::App& command, LeaseOptions& options, const std::string& what) {
  command.add_option("port", options.port, what)->required()->type_name("PORT[/tcp|/udp]");
  command.add_option("--host", options.host, "The public host, where there are several")->type_name("HOST");
  add_admin_options(command, options);
}

}  // namespace

void add_lease_commands(CLI::App& root, CommandLine& line) {
  auto& group = *root.add_subcommand("lease", "Leases: public ports and where they lead");
  group.require_subcommand(1);
  group.footer("Example:\n  drpf lease add nas 20025/tcp --local 25");
  add_command<LeaseOptions>(
      group, line, "list", "List all leases", "drpf lease list --json",
      [](CLI::App& command, LeaseOptions& options) { add_admin_options(command, options); },
      [](const LeaseOptions& options) { return print_answer(options.gateway().get("/v1/leases"), options.json, leases_table); });
  add_command<LeaseOptions>(
      group, line, "add", "Lease a public port to a device, for good", "drpf lease add nas 20110/tcp --local 110",
      [](CLI::App& command, LeaseOptions& options) {
        command.add_option("device", options.device, "The device that it leads to")->required()->type_name("DEVICE");
        declare_port(command, options, "The public port, or 'any' for a free one; both protocols unless one is named");
        command.add_option("--local", options.local_port, "The port on the device (default: the same number)")
            ->type_name("PORT")
            ->check(CLI::Range(1, 65535));
        command.add_option("--count", options.count, "So many ports in a row")->type_name("N")->check(CLI::Range(1, 65535));
      },
      add_lease);
  add_command<LeaseOptions>(
      group, line, "set", "Lead a leased port to another port of its device", "drpf lease set 20025/tcp --local 25",
      [](CLI::App& command, LeaseOptions& options) {
        declare_port(command, options, "The public port");
        command.add_option("--local", options.local_port, "The port on the device")
            ->required()
            ->type_name("PORT")
            ->check(CLI::Range(1, 65535));
      },
      set_lease);
  add_command<LeaseOptions>(
      group, line, "remove", "End a lease; its port closes at once", "drpf lease remove 20025/tcp",
      [](CLI::App& command, LeaseOptions& options) { declare_port(command, options, "The public port"); }, remove_lease);
  add_lease_test_command(group, line);
}

}  // namespace drpf::cli
