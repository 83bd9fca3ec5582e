// `drpf account ...`
#include <fmt/format.h>

#include "cli/command_line.h"
#include "net/http_message.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;

struct AccountOptions : AdminOptions {
  std::string name;
  std::string plan;
  bool suspend = false;
  bool resume = false;

  api_client::AdminClient gateway() const { return api_client::AdminClient(socket); }
  std::string target() const { return "/v1/accounts/" + net::percent_encode(name); }
};

std::string account_state(const json::value& account) { return api_client::flag_of(account, "suspended") ? "suspended" : "active"; }

std::string accounts_table(const json::value& accounts) {
  terminal::Table table({"ACCOUNT", "PLAN", "STATE", "DEVICES", "PORTS", "OF"});
  for (const auto& account : accounts.as_array())
    table.add({{api_client::text_of(account, "name")},
               {api_client::text_of(account, "plan")},
               {account_state(account), api_client::flag_of(account, "suspended") ? terminal::Colour::yellow : terminal::Colour::green},
               {std::to_string(api_client::list_of(account, "devices").size()), terminal::Colour::plain, true},
               {api_client::text_of(account, "ports_held"), terminal::Colour::plain, true},
               {api_client::text_of(account, "ports_max"), terminal::Colour::dim, true}});
  return table.empty() ? "no accounts yet; add one: drpf account add NAME\n" : table.text(terminal::standard_output_has_colour());
}

std::string resting_text(const json::value& account) {
  const auto resting = api_client::number_of(account, "ports_resting");
  return resting == 0 ? "" : fmt::format(", and {} given back that still rest", resting);
}

std::string account_page(const json::value& account) {
  std::string devices;
  for (const auto& device : api_client::list_of(account, "devices"))
    devices += (devices.empty() ? "" : ", ") + std::string(device.as_string());
  return fmt::format("account  {}\nplan     {}\nstate    {}\nports    {} of {}{}\ndevices  {}\n", api_client::text_of(account, "name"),
                     api_client::text_of(account, "plan"), account_state(account), api_client::text_of(account, "ports_held"),
                     api_client::text_of(account, "ports_max"), resting_text(account),
                     devices.empty() ? "none; add one: drpf device add " + api_client::text_of(account, "name") + " DEVICE" : devices);
}

void declare_account_name(CLI::App& command, AccountOptions& options) {
  command.add_option("name", options.name, "The account's name")->required()->type_name("NAME");
  add_admin_options(command, options);
}

int add_account(const AccountOptions& options) {
  json::object body{{"name", options.name}};
  if (!options.plan.empty()) body["plan"] = options.plan;
  return print_answer(options.gateway().post("/v1/accounts", body), options.json, [](const json::value& account) {
    return fmt::format("account {} added, plan {}\n", api_client::text_of(account, "name"), api_client::text_of(account, "plan"));
  });
}

int set_account(const AccountOptions& options) {
  json::object body;
  if (!options.plan.empty()) body["plan"] = options.plan;
  if (options.suspend || options.resume) body["suspended"] = options.suspend;
  if (body.empty()) return terminal::report(wrong_usage("nothing to change was named", "give --plan PLAN, --suspend or --resume"));
  return print_answer(options.gateway().patch(options.target(), body), options.json, account_page);
}

int remove_account(const AccountOptions& options) {
  return print_answer(options.gateway().remove(options.target()), options.json, [&](const json::value&) {
    return fmt::format("account {} removed, with its devices; its ports are closed\n", options.name);
  });
}

}  // namespace

void add_account_commands(CLI::App& root, CommandLine& line) {
  auto& group = *root.add_subcommand("account", "Accounts: who has devices and ports");
  group.require_subcommand(1);
  group.footer("Example:\n  drpf account add ann");
  add_command<AccountOptions>(
      group, line, "add", "Add an account", "drpf account add ann --plan personal",
      [](CLI::App& command, AccountOptions& options) {
        declare_account_name(command, options);
        command.add_option("--plan", options.plan, "How many ports, and which rights (default: the configuration's default plan)")
            ->type_name("PLAN");
      },
      add_account);
  add_command<AccountOptions>(
      group, line, "list", "List all accounts", "drpf account list --json",
      [](CLI::App& command, AccountOptions& options) { add_admin_options(command, options); },
      [](const AccountOptions& options) { return print_answer(options.gateway().get("/v1/accounts"), options.json, accounts_table); });
  add_command<AccountOptions>(
      group, line, "show", "Show one account", "drpf account show ann", declare_account_name,
      [](const AccountOptions& options) { return print_answer(options.gateway().get(options.target()), options.json, account_page); });
  add_command<AccountOptions>(
      group, line, "set", "Change an account", "drpf account set ann --suspend",
      [](CLI::App& command, AccountOptions& options) {
        declare_account_name(command, options);
        command.add_option("--plan", options.plan, "Give it another plan")->type_name("PLAN");
        auto* const suspend =
            command.add_flag("--suspend", options.suspend, "Close its ports and its tunnels until --resume; nobody else gets its ports");
        command.add_flag("--resume", options.resume, "Open them again")->excludes(suspend);
      },
      set_account);
  add_command<AccountOptions>(group, line, "remove", "Remove an account with its devices and ports", "drpf account remove ann",
                              declare_account_name, remove_account);
}

}  // namespace drpf::cli
