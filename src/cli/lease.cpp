// `drpf lease ...`
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/command_line.h"
#include "cli/lease_table.h"
#include "cli/lease_test.h"
#include "cli/port_argument.h"
#include "net/http_message.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;

struct LeaseOptions : AdminOptions {
  std::string device;
  std::vector<std::string> ports;
  std::string host;
  int local_port = -1;
  int count = 1;
  std::string account;
  bool every_one = false;

  api_client::AdminClient gateway() const { return api_client::AdminClient(socket); }
};

std::string path_of(const json::value& lease) {
  return "/v1/leases/" + net::percent_encode(api_client::text_of(lease, "host")) + "/" + api_client::text_of(lease, "protocol") + "/" +
         api_client::text_of(lease, "public_port");
}

struct Target {
  std::string path;
  std::string name;      // as it was asked for
  int beyond_first = 0;  // of the run that it is in
};

// The leases that the PORT arguments mean: each host and protocol once.
Result<std::vector<Target>> find_targets(const LeaseOptions& options) {
  const auto arguments = parse_port_arguments(options.ports);
  if (!arguments) return fail(arguments.error());
  if (std::any_of(arguments->begin(), arguments->end(), [](const auto& one) { return !one.ports; }))
    return fail(wrong_usage("'any' names no lease", "give the public port's number"));
  const auto leases = options.gateway().get("/v1/leases");
  if (!leases) return fail(leases.error());
  std::vector<Target> targets;
  std::set<std::string> paths;  // arguments may overlap
  for (const auto& argument : *arguments) {
    std::set<std::string> hosts;
    for (const auto& lease : leases->as_array()) {
      const auto host = api_client::text_of(lease, "host");
      const Port port{static_cast<std::uint16_t>(api_client::number_of(lease, "public_port"))};
      const auto protocol = api_client::text_of(lease, "protocol");
      if (!argument.ports->contains(port) || (argument.protocol && protocol != to_string(*argument.protocol))) continue;
      if (!options.host.empty() && host != options.host) continue;
      hosts.insert(host);
      auto path = path_of(lease);
      if (paths.insert(path).second)
        targets.push_back({std::move(path), to_string(argument), port.value() - argument.ports->first().value()});
    }
    if (hosts.empty()) return fail(not_found("lease_unknown", "there is no lease on port " + to_string(argument), "see `drpf lease list`"));
    if (hosts.size() > 1)
      return fail(wrong_usage(fmt::format("port {} is leased on several hosts: {}", to_string(argument), fmt::join(hosts, ", ")),
                              "name one: --host HOST"));
  }
  return targets;
}

int list_leases(const LeaseOptions& options) {
  auto leases = options.gateway().get("/v1/leases");
  if (!leases) return terminal::report(leases.error());
  json::array meant;
  for (auto& lease : leases->as_array())
    if ((options.device.empty() || api_client::text_of(lease, "device") == options.device) &&
        (options.account.empty() || api_client::text_of(lease, "account") == options.account) &&
        (options.host.empty() || api_client::text_of(lease, "host") == options.host))
      meant.push_back(std::move(lease));
  return print_answer(json::value(std::move(meant)), options.json, options.every_one ? lease_table_of_all : lease_table);
}

void give_back(const LeaseOptions& options, const json::array& added, const std::set<std::string>& held) {
  std::set<std::string> paths;  // a lease is listed once for each family
  for (const auto& lease : added)
    if (auto path = path_of(lease); !held.contains(path)) paths.insert(std::move(path));
  for (const auto& path : paths)
    if (const auto removed = options.gateway().remove(path); !removed)
      terminal::remark(fmt::format("what was added before could not be taken back ({}): {}", path, removed.error().message));
}

// All of them or none: what was added before a refusal is given back. What the device had before is not: that it keeps.
int add_leases(const LeaseOptions& options) {
  const auto arguments = parse_port_arguments(options.ports);
  if (!arguments) return terminal::report(arguments.error());
  const bool runs = std::any_of(arguments->begin(), arguments->end(), [](const auto& one) { return one.ports && one.ports->size() > 1; });
  if (options.count > 1 && (runs || arguments->size() > 1))
    return terminal::report(wrong_usage("--count goes with one port, the first of the run", "write the run as 20100-20119"));
  if (options.local_port >= 0 && arguments->size() > 1)
    return terminal::report(wrong_usage("--local goes with one port or one run of them", "use one command for each"));
  std::set<std::string> held;
  if (arguments->size() > 1) {
    const auto before = options.gateway().get("/v1/leases");
    if (!before) return terminal::report(before.error());
    for (const auto& lease : before->as_array()) held.insert(path_of(lease));
  }
  json::array added;
  for (const auto& argument : *arguments) {
    json::object body{{"device", options.device}, {"count", argument.ports && runs ? int(argument.ports->size()) : options.count}};
    if (argument.ports) body["port"] = argument.ports->first().value();
    if (argument.protocol) body["protocol"] = std::string(to_string(*argument.protocol));
    if (options.local_port >= 0) body["local_port"] = options.local_port;
    if (!options.host.empty()) body["host"] = options.host;
    const auto answer = options.gateway().post("/v1/leases", body);
    if (!answer) {
      give_back(options, added, held);
      return terminal::report(answer.error());
    }
    added.insert(added.end(), answer->as_array().begin(), answer->as_array().end());
  }
  return print_answer(json::value(std::move(added)), options.json, lease_table);
}

int set_leases(const LeaseOptions& options) {
  const auto targets = find_targets(options);
  if (!targets) return terminal::report(targets.error());
  if (targets->front().name != targets->back().name)
    return terminal::report(wrong_usage("--local goes with one port or one run of them", "use one command for each"));
  json::array changed;
  for (const auto& target : *targets) {
    const auto answer = options.gateway().patch(target.path, json::object{{"local_port", options.local_port + target.beyond_first}});
    if (!answer) return terminal::report(answer.error());
    if (answer->is_array()) changed.insert(changed.end(), answer->get_array().begin(), answer->get_array().end());
  }
  return print_answer(json::value(std::move(changed)), options.json, lease_table);
}

int remove_leases(const LeaseOptions& options) {
  const auto targets = find_targets(options);
  if (!targets) return terminal::report(targets.error());
  std::vector<std::string> names;
  for (const auto& target : *targets) {
    if (const auto answer = options.gateway().remove(target.path); !answer) return terminal::report(answer.error());
    if (names.empty() || names.back() != target.name) names.push_back(target.name);
  }
  return terminal::print(options.json ? "null\n" : fmt::format("port {} is closed\n", fmt::join(names, ", ")));
}

void declare_port(CLI::App& command, LeaseOptions& options, const std::string& what) {
  command.add_option("port", options.ports, what)->required()->type_name("PORT[-PORT][/tcp|/udp]");
  command.add_option("--host", options.host, "The public host, where there are several")->type_name("HOST");
  add_admin_options(command, options);
}

}  // namespace

void add_lease_commands(CLI::App& root, CommandLine& line) {
  auto& group = *root.add_subcommand("lease", "Leases: public ports and where they lead");
  group.require_subcommand(1);
  group.footer("Example:\n  drpf lease add nas 20025/tcp --local 25");
  add_command<LeaseOptions>(
      group, line, "list", "List the leases: a row for each run of ports", "drpf lease list --device laptop\n  drpf lease list --json",
      [](CLI::App& command, LeaseOptions& options) {
        command.add_option("--device", options.device, "Only what leads to this device")->type_name("DEVICE");
        command.add_option("--account", options.account, "Only what this account holds")->type_name("ACCOUNT");
        command.add_option("--host", options.host, "Only what is on this public host")->type_name("HOST");
        command.add_flag("--all", options.every_one, "A row for each port, protocol and public address");
        add_admin_options(command, options);
      },
      list_leases);
  add_command<LeaseOptions>(
      group, line, "add", "Lease a public port to a device, for good",
      "drpf lease add nas 20110/tcp --local 110\n  drpf lease add nas 20100-20119,20200/udp",
      [](CLI::App& command, LeaseOptions& options) {
        command.add_option("device", options.device, "The device that it leads to")->required()->type_name("DEVICE");
        declare_port(command, options, "The public port, or 'any' for a free one; both protocols unless one is named");
        command.add_option("--local", options.local_port, "The port on the device (default: the same number)")
            ->type_name("PORT")
            ->check(CLI::Range(1, 65535));
        command.add_option("--count", options.count, "So many ports in a row")->type_name("N")->check(CLI::Range(1, 65535));
      },
      add_leases);
  add_command<LeaseOptions>(
      group, line, "set", "Lead a leased port to another port of its device", "drpf lease set 20025/tcp --local 25",
      [](CLI::App& command, LeaseOptions& options) {
        declare_port(command, options, "The public port");
        command.add_option("--local", options.local_port, "The port on the device")
            ->required()
            ->type_name("PORT")
            ->check(CLI::Range(1, 65535));
      },
      set_leases);
  add_command<LeaseOptions>(
      group, line, "remove", "End a lease; its port closes at once", "drpf lease remove 20025/tcp 20100-20119",
      [](CLI::App& command, LeaseOptions& options) { declare_port(command, options, "The public port"); }, remove_leases);
  add_lease_test_command(group, line);
}

}  // namespace drpf::cli
