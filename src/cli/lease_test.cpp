#include "cli/lease_test.h"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <set>
#include <thread>

#include "api/json_text.h"
#include "api_client/lease_door.h"
#include "api_client/lease_metrics.h"
#include "cli/port_argument.h"
#include "system/process.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds hook_time_max{60};

struct TestOptions : AdminOptions {
  std::vector<std::string> ports;
  std::string host;
  std::string gateway;
  bool passive = false;
  int wait_ms = 900;
  bool watch = false;
  unsigned every_s = 60;
  std::string on_change;
  std::string metrics;
};

// What a finding ends with; docs/exit-codes.md has the same table.
constexpr std::pair<std::string_view, int> exit_codes[] = {
    {"answers", 0},        {"nobody_listens", 10}, {"rejected_by_device", 11}, {"dropped_by_device", 12},
    {"silent", 13},        {"no_way_back", 16},    {"not_answered", 14},       {"not_visited", 15},
    {"tunnel_silent", 20}, {"tunnel_down", 21},    {"account_suspended", 22},  {"lease_ended", 30},
    {"lease_unknown", 31}, {"rule_missing", 40},   {"blocked_on_gateway", 41}, {"gone_astray", 42},
    {"no_statement", 43},
};

int exit_code_of_finding(std::string_view finding) {
  const auto* const found =
      std::find_if(std::begin(exit_codes), std::end(exit_codes), [&](const auto& one) { return one.first == finding; });
  return found == std::end(exit_codes) ? int{terminal::exit_refused} : found->second;
}

// host/protocol/port of what is meant: those numbers at the hosts that have a lease of them, or at any host; by both protocols unless one
// is named, for a lease that has ended is in no list. Of a run only what is leased.
Result<std::set<std::string>> targets(const api_client::LeaseDoor& door, const TestOptions& options) {
  const auto arguments = parse_port_arguments(options.ports);
  if (!arguments) return fail(arguments.error());
  if (std::any_of(arguments->begin(), arguments->end(), [](const auto& one) { return !one.ports; }))
    return fail(wrong_usage("'any' names no lease", "give the public port's number"));
  const auto leases = door.leases();
  if (!leases) return fail(leases.error());
  std::set<std::string> out;
  for (const auto& argument : *arguments) {
    std::set<std::pair<std::string, Port>> meant;
    for (const auto& lease : *leases) {
      const Port port{static_cast<std::uint16_t>(api_client::number_of(lease, "public_port"))};
      if (!argument.ports->contains(port)) continue;
      if (argument.protocol && api_client::text_of(lease, "protocol") != to_string(*argument.protocol)) continue;
      if (!options.host.empty() && api_client::text_of(lease, "host") != options.host) continue;
      meant.emplace(api_client::text_of(lease, "host"), port);
    }
    if (meant.empty() && argument.ports->size() > 1)
      return fail(not_found("lease_unknown", "there is no lease on port " + to_string(argument), "see `drpf lease list`"));
    if (meant.empty()) {
      auto host = options.host.empty() ? door.any_host() : Result<std::string>(options.host);
      if (!host) return fail(host.error());
      meant.emplace(std::move(*host), argument.ports->first());
    }
    for (const auto& [host, port] : meant)
      for (const auto protocol : {Protocol::tcp, Protocol::udp})
        if (!argument.protocol || argument.protocol == protocol)
          out.insert(api_client::LeaseDoor::path_of(host, drpf::to_string(protocol), drpf::to_string(port)));
  }
  return out;
}

// Where one protocol has, or had, a lease, nothing is said of the other that never had one; where none had, it is said once.
void leave_out_unknown(json::array& tested) {
  const auto is_unknown = [](const json::value& one) { return api_client::text_of(one, "finding") == "lease_unknown"; };
  const bool all = std::all_of(tested.begin(), tested.end(), is_unknown);
  json::array out;
  for (auto& one : tested)
    if (all ? out.empty() : !is_unknown(one)) out.push_back(std::move(one));
  tested = std::move(out);
}

// One answer per public address of each lease.
Result<json::array> test_once(const TestOptions& options) {
  const auto door = api_client::LeaseDoor::open(options.gateway, options.socket);
  if (!door) return fail(door.error());
  const auto leases = targets(*door, options);
  if (!leases) return fail(leases.error());
  json::array out;
  for (const auto& lease : *leases) {
    const auto tested = door->test(lease, {{"passive", options.passive}, {"wait_ms", options.wait_ms}});
    if (!tested) return fail(tested.error());
    out.insert(out.end(), tested->begin(), tested->end());
  }
  leave_out_unknown(out);
  return out;
}

std::string name_of(const json::value& tested) {
  const auto address = api_client::text_of(tested, "public_address");
  const bool v6 = address.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}/{}", v6 ? "[" : "", address, v6 ? "]" : "", api_client::text_of(tested, "public_port"),
                     api_client::text_of(tested, "protocol"));
}

std::string as_text(const json::value& tested) {
  const bool colour = terminal::standard_output_has_colour();
  const bool good = api_client::text_of(tested, "finding") == "answers";
  const auto name = name_of(tested);
  auto text = fmt::format("{}  {}\n", colour ? terminal::coloured(name, good ? terminal::Colour::green : terminal::Colour::yellow) : name,
                          api::printable(api_client::text_of(tested, "sentence")));
  if (const auto cure = api_client::text_of(tested, "cure"); !cure.empty()) text += "  cure: " + api::printable(cure) + "\n";
  return text;
}

// One that answers is enough: a program needs one protocol, and visitors choose the address that works.
int code_of(const json::array& tested) {
  int code = -1;
  for (const auto& one : tested) {
    const int found = exit_code_of_finding(api_client::text_of(one, "finding"));
    if (code < 0 || found < code) code = found;
  }
  return code < 0 ? int{terminal::exit_refused} : code;
}

void run_hook(const std::string& command, const json::value& tested, const std::string& before) {
  system::Command shell{.arguments = {"/bin/sh", "-c", command}};
  shell.environment = {{"DRPF_EVENT", "lease_test"},
                       {"DRPF_FINDING", api_client::text_of(tested, "finding")},
                       {"DRPF_FINDING_BEFORE", before},
                       {"DRPF_PORT", api_client::text_of(tested, "public_port")},
                       {"DRPF_PROTOCOL", api_client::text_of(tested, "protocol")},
                       {"DRPF_PUBLIC_ADDRESS", api_client::text_of(tested, "public_address")},
                       {"DRPF_DEVICE", api_client::text_of(tested, "device")},
                       {"DRPF_SENTENCE", api::printable(api_client::text_of(tested, "sentence"))},
                       {"DRPF_CURE", api::printable(api_client::text_of(tested, "cure"))}};
  const auto output = system::run(shell, hook_time_max);
  if (!output)
    terminal::remark("the program of --on-change failed: " + output.error().message);
  else if (output->exit_code != 0)
    terminal::remark(fmt::format("the program of --on-change ended with code {}", output->exit_code));
}

std::string time_now() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm local{};
  ::localtime_r(&now, &local);
  return fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec);
}

Status tell_metrics(const TestOptions& options, const json::array& tested) {
  if (options.metrics.empty()) return {};
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  return api_client::write_metrics(options.metrics, api_client::lease_metrics(tested, exit_code_of_finding, now));
}

// Until somebody ends it; tells what it finds first, and then what changes.
int watch(const TestOptions& options) {
  std::map<std::string, std::string> findings;
  std::string trouble;
  for (;; std::this_thread::sleep_for(std::chrono::seconds(options.every_s))) {
    const auto tested = test_once(options);
    if (!tested) {
      if (tested.error().kind == Error::Kind::usage) return terminal::report(tested.error());
      if (std::exchange(trouble, tested.error().message) != tested.error().message) (void)terminal::report(tested.error());
      continue;
    }
    const auto written = tell_metrics(options, *tested);
    if (!written && std::exchange(trouble, written.error().message) != written.error().message) (void)terminal::report(written.error());
    if (written) trouble.clear();
    for (const auto& one : *tested) {
      auto& before = findings[name_of(one)];
      const auto finding = api_client::text_of(one, "finding");
      if (finding == before) continue;
      const auto line = options.json ? json::serialize(one) + "\n" : time_now() + "  " + as_text(one);
      if (const auto printed = terminal::print(line); printed != terminal::exit_ok) return printed;
      if (!options.on_change.empty() && !before.empty()) run_hook(options.on_change, one, before);
      before = finding;
    }
  }
}

int test_lease(const TestOptions& options) {
  if (!options.on_change.empty() && !options.watch)
    return terminal::report(wrong_usage("--on-change needs --watch", "add --watch, or use the exit code"));
  if (options.watch) return watch(options);
  const auto tested = test_once(options);
  if (!tested) return terminal::report(tested.error());
  if (const auto written = tell_metrics(options, *tested); !written) return terminal::report(written.error());
  std::string text;
  for (const auto& one : *tested) text += as_text(one);
  if (const auto printed = terminal::print(options.json ? json::serialize(*tested) + "\n" : text); printed != terminal::exit_ok)
    return printed;
  return code_of(*tested);
}

}  // namespace

void add_lease_test_command(CLI::App& group, CommandLine& line) {
  add_command<TestOptions>(
      group, line, "test", "Visit a leased port as a stranger would, and say why it answers or not",
      "drpf lease test 20025/tcp\n  drpf lease test 20025 --watch --on-change 'logger \"$DRPF_SENTENCE\"'\n  drpf lease test 20025 "
      "--gateway "
      "10.77.0.1    (on a device, of its own leases)\n\nExit codes: 0 the program answers, 10-16 the device or its program does not, 20-22 "
      "the tunnel or the account,\n30-31 there is no lease, 40-43 the gateway; docs/exit-codes.md has each.",
      [](CLI::App& command, TestOptions& options) {
        command.add_option("port", options.ports, "The public ports; both protocols unless one is named")
            ->required()
            ->type_name("PORT[-PORT][/tcp|/udp]");
        command.add_option("--host", options.host, "The public host, where there are several")->type_name("HOST");
        command.add_option("--gateway", options.gateway, "On a device: the gateway's address inside the tunnel")
            ->type_name("ADDRESS[:PORT]");
        command.add_flag("--passive", options.passive, "Send nothing: tell what is known of the visits so far");
        command.add_option("--wait", options.wait_ms, "Milliseconds that an answer may take")
            ->type_name("MS")
            ->check(CLI::Range(100, 10'000))
            ->capture_default_str();
        command.add_flag("--watch", options.watch, "Again and again; tells what changes");
        command.add_option("--every", options.every_s, "Seconds between, with --watch")
            ->type_name("SECONDS")
            ->check(CLI::Range(1, 86'400))
            ->capture_default_str();
        command.add_option("--on-change", options.on_change, "With --watch: run this when the finding is another one")
            ->type_name("COMMAND");
        command.add_option("--metrics", options.metrics, "Write what is found to this file, for Prometheus' collector of text files")
            ->type_name("FILE");
        add_admin_options(command, options);
      },
      test_lease);
}

}  // namespace drpf::cli
