#include "lab/selftest/selftest.h"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configuration/configuration_file.h"
#include "configuration/lab_configuration.h"
#include "lab/selftest/attacks.h"
#include "lab/selftest/limits.h"
#include "lab/stage/requirements.h"
#include "lab/stage/stage.h"
#include "lab/stage/wording.h"
#include "system/text_file.h"
#include "terminal/exit_code.h"
#include "terminal/progress.h"
#include "terminal/terminal.h"

namespace drpf::lab::selftest {
namespace {

using namespace selftest;

constexpr const char* command_name = "drpf selftest";
constexpr const char* configuration_default = "/etc/drpf/drpf.toml";
constexpr lab::Requirement requirements[] = {{"ip", "iproute2"}, {"nft", "nftables"}};

std::string in_small(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::vector<Threat> chosen_threats(const std::string& only) {
  std::vector<Threat> chosen;
  for (const Threat& threat : threats())
    if (in_small(threat.name).find(in_small(only)) != std::string::npos || in_small(threat.title).find(in_small(only)) != std::string::npos)
      chosen.push_back(threat);
  return chosen;
}

struct Given {
  std::string source;  // in words
  configuration::LabConfiguration configuration;
};

Result<Given> read_configuration(const std::string& file) {
  Given given{"the defaults", {}};
  std::string path = file, text;
  if (path.empty() && std::filesystem::exists(configuration_default)) path = configuration_default;
  if (!path.empty()) {
    // Read by the gateway's own reader first, for its messages.
    if (const auto read = configuration::read_configuration_file(path); !read) return fail(read.error());
    text = system::read_text_file(path);
    given.source = path;
  }
  const auto settings = configuration::parse_configuration(text, given.source);
  if (!settings) return fail(settings.error());
  configuration::LabNetwork network;
  network.interface = public_interface;
  network.public_v4 = *parse_prefix("198.51.100.0/24");
  if (::access("/proc/sys/net/ipv6", F_OK) == 0) network.public_v6 = *parse_prefix("2001:db8:51::/64");
  network.plan = "selftest";
  // Reached within an account's part of what may go to one address, and within what the kernel holds for all networks of the machine.
  network.connections_max = std::min(selftest::limits::flows_max, settings->snat.size() / 16);
  const std::string table = system::read_text_file("/proc/sys/net/netfilter/nf_conntrack_max");
  if (!table.empty())
    network.connections_max = std::max(16U, std::min(network.connections_max, static_cast<std::uint32_t>(std::atol(table.c_str()) / 8)));
  auto configuration = configuration::make_lab_configuration(text, given.source, network);
  if (!configuration) return fail(configuration.error());
  given.configuration = std::move(*configuration);
  return given;
}

// An attack that gave up half-way may have left the gateway dead; the next one finds it alive, or says that it cannot be tried.
Finding attempt(const Threat& threat, Ground& ground, Family family) {
  if (!ground.gateway.running()) (void)ground.revive();
  return threat.attack(ground, family);
}

Finding attempt(const Threat& threat, Ground& ground) {
  Finding finding = attempt(threat, ground, Family::v4);
  if (threat.both_families && ground.has_v6) finding = merged(std::move(finding), attempt(threat, ground, Family::v6));
  finding.name = threat.name;
  finding.title = threat.title;
  return finding;
}

void print_logs() {
  for (const char* name : {"gateway", "attacker", "owner", "second"})
    fmt::print(stderr, "--- {}\n{}", name, system::read_text_file(fmt::format("{}/{}.log", lab::stage_folder, name)));
}

int perform(const SelftestOptions& options, const lab::Stage& stage, const system::Fd& executable, const Given& given,
            const std::vector<Threat>& chosen) {
  const bool colour = terminal::standard_output_has_colour();
  terminal::Progress progress;
  const lab::Stopwatch watch;
  if (!options.json) {
    utsname kernel{};
    ::uname(&kernel);
    fmt::print("{} with {}, on Linux {}. All of this happens in networks of its own; nothing of this host is changed.\n", command_name,
               given.source, kernel.release);
    for (const std::string& remark : given.configuration.remarks) fmt::print("  note: {}\n", remark);
    std::fflush(stdout);
  }
  progress.say("networks are made");
  std::vector<Finding> findings;
  const auto tell = [&](Finding finding) {
    progress.clear();
    if (!options.json) fmt::print("{}", to_text(finding, colour));
    std::fflush(stdout);
    findings.push_back(std::move(finding));
  };
  const auto not_ready = [&](const Error& error) {
    tell({"ground", "The gateway and its devices", Verdict::untried,
          fmt::format("{}{}", error.message, error.cure.empty() ? "" : "; cure: " + error.cure)});
  };
  Result<Ground> ground = Ground::build(executable, given.configuration);
  if (!ground) {
    not_ready(ground.error());
  } else if (const Status opened = ground->open(progress); !opened) {
    not_ready(opened.error());
  } else {
    if (!options.json && !ground->has_v6) fmt::print("  note: this configuration or this kernel has no IPv6, so only IPv4 is tried\n");
    for (const Threat& threat : chosen) {
      progress.say(fmt::format("[{}/{}] {}", findings.size() + 1, chosen.size(), threat.title));
      tell(attempt(threat, *ground));
    }
  }
  const bool passed = all_closed(findings);
  stage.give_verdict(passed ? terminal::exit_ok : terminal::exit_refused);
  if (!passed && options.logs) print_logs();
  if (options.json) {
    fmt::print("{}\n", to_json(findings));
  } else {
    const auto count = [&](Verdict verdict) {
      return std::count_if(findings.begin(), findings.end(), [&](const Finding& finding) { return finding.verdict == verdict; });
    };
    fmt::print("{}: {} of {} threats closed", passed ? "Passed" : "NOT PASSED", count(Verdict::closed), findings.size());
    if (!passed) fmt::print(", {} open, {} could not be tried", count(Verdict::open), count(Verdict::untried));
    fmt::print(" ({})\n", lab::say_time(watch.elapsed()));
  }
  std::fflush(stdout);
  return passed ? terminal::exit_ok : terminal::exit_refused;
}

}  // namespace

int run_selftest(const SelftestOptions& options) {
  const auto chosen = chosen_threats(options.only);
  if (chosen.empty()) {
    std::vector<std::string> names;
    for (const Threat& threat : threats()) names.emplace_back(threat.name);
    return terminal::report(
        wrong_usage(fmt::format("no threat has '{}' in its name", options.only), fmt::format("the names are: {}", fmt::join(names, ", "))));
  }
  if (::geteuid() != 0)
    return terminal::report(not_permitted("no_permission", "the self-test makes networks and a gateway of its own, which needs root",
                                          "run it as root: sudo drpf selftest"));
  const auto missing = lab::find_missing(requirements, command_name);
  for (const lab::Missing& one : missing) fmt::print(stderr, "{}: {}\n  cure: {}\n", command_name, one.what, one.cure);
  if (!missing.empty()) return terminal::exit_unavailable;
  const auto given = read_configuration(options.config);
  if (!given) return terminal::report(given.error());
  const system::Fd executable(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  if (!executable.valid()) {
    std::perror("drpf selftest: cannot open /proc/self/exe");
    return terminal::exit_refused;
  }
  return lab::run_stage(command_name, [&](const lab::Stage& stage) { return perform(options, stage, executable, *given, chosen); });
}

}  // namespace drpf::lab::selftest
