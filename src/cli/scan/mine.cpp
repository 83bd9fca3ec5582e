#include "cli/scan/mine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>

#include "api/error_json.h"
#include "api/json_text.h"
#include "cli/admin_client.h"
#include "cli/exit_code.h"
#include "cli/port_names.h"
#include "cli/terminal.h"
#include "net/http_client.h"
#include "net/http_message.h"
#include "scan/own_view.h"

namespace drpf::cli::scanning {
namespace {

namespace json = boost::json;

constexpr std::uint16_t device_api_port = 5351;
constexpr int exit_ports_undecided = 3;  // as of every scan
constexpr std::size_t view_file_max = 16 * 1024 * 1024;

struct Door {
  net::HttpClient client;
  std::string list;    // where the leases are
  std::string leases;  // and each of them below
};

Result<Door> door_of(const Options& options) {
  if (options.gateway.empty()) return Door{net::HttpClient::over_unix(options.socket), "/v1/leases", "/v1/leases"};
  auto endpoint = parse_endpoint(options.gateway);
  if (!endpoint) {
    const auto address = parse_address(options.gateway);
    if (!address)
      return fail(invalid("usage", fmt::format("'{}' is not an address of a gateway", options.gateway),
                          "for example 10.77.0.1, its address inside the tunnel"));
    endpoint = Endpoint{*address, Port(device_api_port)};
  }
  return Door{net::HttpClient::over_tcp(*endpoint), "/v1/self", "/v1/self/leases"};
}

Result<json::value> call(const Door& door, std::string_view method, const std::string& target, const std::string& body = {}) {
  const auto response = door.client.request(method, target, body);
  if (!response) return fail(response.error());
  if (response->status >= 400) return fail(api::error_from_json(response->status, response->body));
  json::error_code error;
  auto value = json::parse(response->body, error);
  if (error) return fail(failure("gateway_confused", "the gateway's answer could not be read", "check that a drpf gateway is asked"));
  return value;
}

std::optional<scan::Finding> finding_of(std::string_view word) {
  for (int i = 0; i <= static_cast<int>(scan::Finding::no_statement); ++i)
    if (to_string(static_cast<scan::Finding>(i)) == word) return static_cast<scan::Finding>(i);
  return std::nullopt;
}

std::optional<scan::OwnPort> own_port_of(const json::value& tested) {
  const auto address = parse_address(text_of(tested, "public_address"));
  const auto port = parse_port(text_of(tested, "public_port"));
  const auto protocol = parse_protocol(text_of(tested, "protocol"));
  const auto aim = parse_endpoint(text_of(tested, "leads_to"));
  auto device = text_of(tested, "device");
  if (!address || !port || !protocol || !aim || device.empty()) return std::nullopt;  // the lease has ended meanwhile
  const auto finding = finding_of(text_of(tested, "finding"));
  return scan::OwnPort{{*address, *port}, *protocol, aim->port, std::move(device), finding.value_or(scan::Finding::no_statement)};
}

struct View {
  std::vector<scan::OwnPort> ports;
  std::vector<std::string> sentences;  // of the port doctor, one for each
};

Result<View> look(const Door& door) {
  const auto listed = call(door, "GET", door.list);
  if (!listed) return fail(listed.error());
  const auto& leases = listed->is_array() ? listed->get_array() : list_of(*listed, "leases");
  std::set<std::string> paths;
  for (const auto& lease : leases)
    paths.insert(fmt::format("{}/{}/{}/{}/test", door.leases, net::percent_encode(text_of(lease, "host")), text_of(lease, "protocol"),
                             text_of(lease, "public_port")));
  View view;
  for (const auto& path : paths) {
    const auto tested = call(door, "POST", path, "{}");
    if (!tested) return fail(tested.error());
    if (!tested->is_array()) continue;
    for (const auto& one : tested->get_array()) {
      auto port = own_port_of(one);
      if (!port) continue;
      view.ports.push_back(std::move(*port));
      view.sentences.push_back(text_of(one, "sentence"));
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
  remark(fmt::format("{}: {}", path, ports.error().message));
  return std::nullopt;
}

void keep(const std::string& path, const View& view) {
  if (path.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  std::ofstream file(path, std::ios::trunc);
  file << scan::to_text(view.ports) << std::flush;
  if (!file) remark(fmt::format("{} cannot be written: the next time has nothing to be compared with", path));
}

std::string as_table(const View& view, const registry::PortRegistry& names) {
  Table table({"PORT", "STATE", "SERVICE", "LEADS TO", "REASON"});
  for (const auto& port : view.ports) {
    const auto state = std::string(scan::state_word(port.finding));
    table.add({{scan::name_of(port)},
               {state, state == "open" ? Colour::green : Colour::plain},
               {scan::service_guess(port, names)},
               {fmt::format("{}:{}", port.device, to_string(port.local))},
               {std::string(to_string(port.finding))}});
  }
  return table.text(standard_output_has_colour());
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
    return report(invalid("usage", "--mine looks at your own leases, and takes no targets and ports", "leave them away"));
  const auto names = port_names();
  if (!names) return report(names.error());
  const auto door = door_of(options);
  if (!door) return report(door.error());
  auto view = look(*door);
  if (!view && view.error().code == "gateway_unreachable" && options.gateway.empty()) {
    auto error = view.error();
    error.cure +=
        std::string(error.cure.empty() ? "" : "; ") + "on a device name the gateway's address inside the tunnel: --gateway 10.77.0.1";
    return report(error);
  }
  if (!view) return report(view.error());
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
    for (const auto& warning : warnings) text += coloured("warning:", Colour::yellow) + " " + api::printable(warning) + "\n";
  }
  if (const int printed = print(text); printed != exit_ok) return printed;
  keep(path, *view);
  const auto undecided = [](const scan::OwnPort& port) { return scan::state_word(port.finding) == "undecided"; };
  return std::any_of(view->ports.begin(), view->ports.end(), undecided) ? exit_ports_undecided : int{exit_ok};
}

}  // namespace drpf::cli::scanning
