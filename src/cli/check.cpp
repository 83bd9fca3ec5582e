// `drpf check`: is the configuration good, and will the host let the gateway do its work? Works without a running gateway, too.
#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <filesystem>

#include "api/error_json.h"
#include "api/json_text.h"
#include "cli/command_line.h"
#include "daemon/host_check.h"
#include "daemon/prove_configuration.h"
#include "daemon/ssh_ports.h"
#include "system/links_and_routes.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;

constexpr const char* configuration_default = "/etc/drpf/drpf.toml";

struct CheckOptions : AdminOptions {
  std::string config;
};

terminal::Colour colour_of(std::string_view level) {
  if (level == "problem") return terminal::Colour::red;
  if (level == "warning") return terminal::Colour::yellow;
  return level == "good" ? terminal::Colour::green : terminal::Colour::plain;
}

std::string as_list(const json::value& findings) {
  std::string out;
  for (const auto& finding : findings.as_array()) {
    const auto level = api_client::text_of(finding, "level");
    out += terminal::coloured(fmt::format("{:<8}", level), colour_of(level)) + " " +
           api::printable(api_client::text_of(finding, "subject") + ": " + api_client::text_of(finding, "message")) + "\n";
    if (const auto cure = api_client::text_of(finding, "cure"); !cure.empty()) out += "         cure: " + api::printable(cure) + "\n";
  }
  return out;
}

// `look_at_host`: unless the running gateway does that.
Result<json::array> check_here(const std::string& file, bool look_at_host) {
  std::string source = "the defaults";
  if (!file.empty() || std::filesystem::exists(configuration_default)) source = file.empty() ? configuration_default : file;
  const auto configuration = daemon::load_configuration(file.empty() ? std::nullopt : std::optional(file), daemon::ssh_ports());
  if (!configuration) return fail(configuration.error());
  auto network = system::LinksAndRoutes::open();
  if (!network) return fail(network.error());
  const auto proven = daemon::prove_configuration(*configuration, *network, !look_at_host);
  if (!proven) return fail(proven.error());
  std::vector<api::Finding> findings{{api::Finding::Level::good, "configuration", source + " can be used", ""},
                                     {api::Finding::Level::good, "port plan",
                                      fmt::format("pool {}, SNAT {}, this host's own {}: no overlap", to_string(configuration->pool),
                                                  to_string(configuration->snat), to_string(configuration->ephemeral)),
                                      ""}};
  if (look_at_host)
    for (auto& finding : daemon::check_host(*configuration, proven->hosts, false)) findings.push_back(std::move(finding));
  json::array out;
  for (const auto& finding : findings) out.push_back(api::to_json(finding));
  return out;
}

int check(const CheckOptions& options) {
  // A file that was named is checked as it is; else the running gateway knows best.
  json::array findings;
  const auto running = api_client::AdminClient(options.socket).get("/v1/check");
  const bool reached = running && running->is_array();
  if (!reached && running.error().code != "gateway_unreachable") return terminal::report(running.error());
  if (!reached || !options.config.empty()) {
    auto here = check_here(options.config, !reached);
    if (!here) return terminal::report(here.error());
    findings = std::move(*here);
  }
  if (reached) findings.insert(findings.end(), running->get_array().begin(), running->get_array().end());
  bool problem = false;
  for (const auto& finding : findings) problem = problem || api_client::text_of(finding, "level") == "problem";
  const int printed = print_answer(json::value(findings), options.json, as_list);
  return printed == terminal::exit_ok && problem ? terminal::exit_refused : printed;
}

}  // namespace

void add_check_command(CLI::App& root, CommandLine& line) {
  add_command<CheckOptions>(
      root, line, "check", "Look for what is wrong, or would defeat the gateway", "drpf check --config /etc/drpf/drpf.toml",
      [](CLI::App& command, CheckOptions& options) {
        command
            .add_option("--config", options.config,
                        "Check this file (default: what the running gateway uses; else /etc/drpf/drpf.toml if there is one)")
            ->type_name("FILE");
        add_admin_options(command, options);
      },
      check);
}

}  // namespace drpf::cli
