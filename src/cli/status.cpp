// `drpf status`
#include <fmt/format.h>

#include "api/json_text.h"
#include "cli/command_line.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;

std::string uptime_text(std::uint64_t seconds) {
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min", seconds / 60);
  if (seconds < 86400) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{} d {} h", seconds / 86400, seconds / 3600 % 24);
}

// What others broke and the gateway mended: how often, what, and whom it may have been.
std::string repaired_text(const json::value& status) {
  const auto* const repaired = status.is_object() ? status.get_object().if_contains("repaired") : nullptr;
  if (repaired == nullptr || !repaired->is_object()) return {};
  std::string text;
  if (const auto* const counts = repaired->get_object().if_contains("counts"); counts != nullptr && counts->is_object())
    for (const auto& [what, count] : counts->get_object())
      text += fmt::format("{}{} x {}", text.empty() ? "repaired " : ", ", api_client::number_of(*counts, what), std::string_view(what));
  if (text.empty()) return {};
  text += "\n";
  if (const auto* const last = repaired->get_object().if_contains("last"); last != nullptr && last->is_object()) {
    const auto culprit = api_client::text_of(*last, "culprit");
    text += fmt::format("         last {} ago: {}{}{}\n", uptime_text(api_client::number_of(*last, "seconds_ago")),
                        api_client::text_of(*last, "what"), culprit.empty() ? "" : "; changed by ", culprit);
  }
  return text;
}

struct StatusOptions : AdminOptions {
  bool counters = false;
};

std::string counters_page(const json::value& status) {
  std::string page;
  for (const auto& way_in : api_client::list_of(status, "ways_in")) {
    page += fmt::format("counters {} on {}\n", api_client::text_of(way_in, "engine"), api_client::text_of(way_in, "interface"));
    const auto* const counters = way_in.is_object() ? way_in.get_object().if_contains("counters") : nullptr;
    if (counters == nullptr || !counters->is_object()) continue;
    for (const auto& [name, value] : counters->get_object())
      page += fmt::format("         {:<38} {}\n", api::printable(std::string_view(name)), api_client::number_of(*counters, name));
  }
  return page;
}

std::string status_page(const json::value& status) {
  std::string hosts;
  for (const auto& host : api_client::list_of(status, "hosts")) {
    hosts += hosts.empty() ? "" : "; ";
    hosts += api_client::text_of(host, "name");
    for (const auto* family : {"ipv4", "ipv6"})
      if (const auto address = api_client::text_of(host, family); !address.empty()) hosts += " " + address;
  }
  auto page = fmt::format(
      "gateway  drpf {}, up {}\ntunnel   {} on {}, UDP port {}\nhosts    {}\npool     {}, {} ports free, {} resting\n"
      "devices  {} of {} connected, {} accounts\nleases   {} active, {} held\nrepairs  {}\n",
      api_client::text_of(status, "version"), uptime_text(api_client::number_of(status, "uptime_s")), api_client::text_of(status, "engine"),
      api_client::text_of(status, "tunnel_interface"), api_client::text_of(status, "wireguard_port"), hosts,
      api_client::text_of(status, "pool"), api_client::text_of(status, "ports_free"), api_client::text_of(status, "ports_resting"),
      api_client::text_of(status, "devices_connected"), api_client::text_of(status, "devices"), api_client::text_of(status, "accounts"),
      api_client::text_of(status, "leases_active"), api_client::text_of(status, "leases_held"), api_client::text_of(status, "repairs"));
  const auto& ways_in = api_client::list_of(status, "ways_in");
  for (std::size_t i = 1; i < ways_in.size(); ++i)
    page += fmt::format("also by  {} on {}, {} devices connected\n", api_client::text_of(ways_in[i], "engine"),
                        api_client::text_of(ways_in[i], "interface"), api_client::number_of(ways_in[i], "devices_connected"));
  page += repaired_text(status);
  for (const auto& warning : api_client::list_of(status, "warnings"))
    if (warning.is_string())
      page += terminal::coloured("warning  ", terminal::Colour::yellow) +
              api::printable(std::string_view(warning.get_string().data(), warning.get_string().size())) + "\n";
  return page;
}

}  // namespace

void add_status_command(CLI::App& root, CommandLine& line) {
  add_command<StatusOptions>(
      root, line, "status", "Show how the gateway is doing", "drpf status --counters",
      [](CLI::App& command, StatusOptions& options) {
        command.add_flag("--counters", options.counters, "And what each way in has not carried, by reason");
        add_admin_options(command, options);
      },
      [](const StatusOptions& options) {
        return print_answer(api_client::AdminClient(options.socket).get("/v1/status"), options.json, [&](const json::value& status) {
          return status_page(status) + (options.counters ? counters_page(status) : std::string());
        });
      });
}

}  // namespace drpf::cli
