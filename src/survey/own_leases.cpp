#include "survey/own_leases.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>

#include "api/json_text.h"
#include "api_client/lease_door.h"
#include "guard/port_names.h"
#include "scan/own/own_view.h"
#include "system/whole_file.h"
#include "terminal/exit_code.h"
#include "terminal/terminal.h"

namespace drpf::survey {
namespace {

namespace json = boost::json;

constexpr int exit_ports_undecided = 3;  // as of every scan
constexpr std::size_t view_file_max = 16 * 1024 * 1024;

std::optional<scan::Finding> finding_of(std::string_view word) {
  for (int i = 0; i <= static_cast<int>(scan::Finding::no_statement); ++i)
    if (to_string(static_cast<scan::Finding>(i)) == word) return static_cast<scan::Finding>(i);
  return std::nullopt;
}

std::optional<scan::OwnPort> own_port_of(const json::value& tested) {
  const auto address = parse_address(api_client::text_of(tested, "public_address"));
  const auto port = parse_port(api_client::text_of(tested, "public_port"));
  const auto protocol = parse_protocol(api_client::text_of(tested, "protocol"));
  const auto aim = parse_endpoint(api_client::text_of(tested, "leads_to"));
  auto device = api_client::text_of(tested, "device");
  if (!address || !port || !protocol || !aim || device.empty()) return std::nullopt;  // the lease has ended meanwhile
  const auto finding = finding_of(api_client::text_of(tested, "finding"));
  return scan::OwnPort{{*address, *port}, *protocol, aim->port, std::move(device), finding.value_or(scan::Finding::no_statement)};
}

struct View {
  std::vector<scan::OwnPort> ports;
  std::vector<std::string> sentences;  // of the port doctor, one for each
};

Result<View> look(const api_client::LeaseDoor& door) {
  const auto leases = door.leases();
  if (!leases) return fail(leases.error());
  std::set<std::string> paths;
  for (const auto& lease : *leases)
    paths.insert(api_client::LeaseDoor::path_of(api_client::text_of(lease, "host"), api_client::text_of(lease, "protocol"),
                                                api_client::text_of(lease, "public_port")));
  View view;
  for (const auto& path : paths) {
    const auto tested = door.test(path, {});
    if (!tested) return fail(tested.error());
    for (const auto& one : *tested) {
      auto port = own_port_of(one);
      if (!port) continue;
      view.ports.push_back(std::move(*port));
      view.sentences.push_back(api_client::text_of(one, "sentence"));
    }
  }
  return view;
}

// Where the view of the last time is kept; empty: nowhere.
std::string file_of(const Options& options) {
  if (!options.since.empty()) return options.since;
  if (::geteuid() == 0) return "/var/lib/drpf/scan-mine";
  if (const char* state = std::getenv("XDG_STATE_HOME"); state && *state == '/') return std::string(state) + "/drpf/scan-mine";
  if (const char* home = std::getenv("HOME"); home && *home == '/') return std::string(home) + "/.local/state/drpf/scan-mine";
  return {};
}

std::optional<std::vector<scan::OwnPort>> last_time(const std::string& path) {
  std::ifstream file(path);
  if (path.empty() || !file) return std::nullopt;
  std::string text;
  for (std::istreambuf_iterator<char> it(file), end; it != end && text.size() < view_file_max; ++it) text += *it;
  auto ports = scan::parse_own_ports(text);
  if (ports) return std::move(*ports);
  terminal::remark(fmt::format("{}: {}", path, ports.error().message));
  return std::nullopt;
}

void keep(const std::string& path, const View& view) {
  if (path.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  if (!system::replace_file(path, scan::to_text(view.ports)))
    terminal::remark(fmt::format("{} cannot be written: the next time has nothing to be compared with", path));
}

std::string as_table(const View& view, const registry::PortRegistry& names) {
  terminal::Table table({"PORT", "STATE", "SERVICE", "LEADS TO", "REASON"});
  for (const auto& port : view.ports) {
    const auto state = std::string(scan::state_word(port.finding));
    table.add({{scan::name_of(port)},
               {state, state == "open" ? terminal::Colour::green : terminal::Colour::plain},
               {scan::service_guess(port, names)},
               {fmt::format("{}:{}", port.device, to_string(port.local))},
               {std::string(to_string(port.finding))}});
  }
  return table.text(terminal::standard_output_has_colour());
}

json::object as_json(const View& view, const registry::PortRegistry& names, const std::vector<std::string>& changes,
                     const std::vector<std::string>& warnings) {
  json::array ports;
  for (std::size_t i = 0; i < view.ports.size(); ++i) {
    const auto& port = view.ports[i];
    const auto guess = scan::service_guess(port, names);
    ports.push_back(json::object{{"address", to_string(port.public_side.address)},
                                 {"port", port.public_side.port.value()},
                                 {"protocol", std::string(to_string(port.protocol))},
                                 {"state", std::string(scan::state_word(port.finding))},
                                 {"reason", std::string(to_string(port.finding))},
                                 {"sentence", view.sentences[i]},
                                 {"service", guess.empty() ? json::value(nullptr) : json::value(guess)},
                                 {"device", port.device},
                                 {"local_port", port.local.value()}});
  }
  return {{"ports", std::move(ports)},
          {"changes", json::array(changes.begin(), changes.end())},
          {"warnings", json::array(warnings.begin(), warnings.end())}};
}

}  // namespace

int scan_own_leases(const Options& options) {
  if (!options.targets.empty() || !options.targets_files.empty() || !options.ports.empty() || !options.resume.empty())
    return terminal::report(wrong_usage("--mine looks at your own leases, and takes no targets and ports", "leave them away"));
  const auto names = guard::port_names();
  if (!names) return terminal::report(names.error());
  const auto door = api_client::LeaseDoor::open(options.gateway, options.socket);
  if (!door) return terminal::report(door.error());
  const auto view = look(*door);
  if (!view) return terminal::report(view.error());
  const auto path = file_of(options);
  const auto before = last_time(path);
  const auto changes = before ? scan::differences(*before, view->ports, *names) : std::vector<std::string>{};
  const auto warnings = scan::risks(view->ports, *names);
  std::string text;
  if (options.json) {
    text = json::serialize(as_json(*view, *names, changes, warnings)) + "\n";
  } else {
    text = view->ports.empty() ? "no port is leased\n" : as_table(*view, *names);
    for (const auto& change : changes) text += "changed: " + api::printable(change) + "\n";
    for (const auto& warning : warnings)
      text += terminal::coloured("warning:", terminal::Colour::yellow) + " " + api::printable(warning) + "\n";
  }
  if (const int printed = terminal::print(text); printed != terminal::exit_ok) return printed;
  keep(path, *view);
  const auto undecided = [](const scan::OwnPort& port) { return scan::state_word(port.finding) == "undecided"; };
  return std::any_of(view->ports.begin(), view->ports.end(), undecided) ? exit_ports_undecided : int{terminal::exit_ok};
}

}  // namespace drpf::survey
