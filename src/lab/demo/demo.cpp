#include "lab/demo/demo.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "lab/demo/actors.h"
#include "lab/demo/limits.h"
#include "lab/demo/picture.h"
#include "lab/demo/report.h"
#include "lab/demo/show.h"
#include "lab/demo/topology.h"
#include "lab/stage/requirements.h"
#include "lab/stage/stage.h"
#include "lab/stage/wording.h"
#include "system/fd.h"
#include "terminal/exit_code.h"
#include "terminal/progress.h"
#include "terminal/terminal.h"

namespace drpf::lab::demo {
namespace {

using namespace demo;

constexpr const char* command_name = "drpf demo";
constexpr lab::Requirement requirements[] = {
    {"ip", "iproute2"},       {"nft", "nftables"}, {"wg", "wireguard-tools"},    {"wireguard-go", "wireguard-go"},
    {"nginx", "nginx-light"}, {"socat", "socat"},  {"dovecot", "dovecot-pop3d"}, {"/usr/lib/dovecot/pop3-login", "dovecot-pop3d"},
    {"curl", "curl"},
};

void print_logs() {
  for (const char* path :
       {gateway_log, home_1_log, home_2_log, "/run/drpf-lab/nginx.log", "/run/drpf-lab/socat.log", "/run/drpf-lab/dovecot.log"}) {
    std::ifstream file(path);
    fmt::print(stderr, "--- {}\n", path);
    for (std::string line; std::getline(file, line);) fmt::print(stderr, "{}\n", line);
  }
}

// What a reader can try from another terminal, as the user who started the demo.
std::string commands_to_try(const Stage& stage, const Show& show, const std::string& executable) {
  const std::string sudo = stage.user_namespace() ? "" : "sudo ";
  const std::string enter =
      fmt::format("{}nsenter -t {} -n -m{}", sudo, stage.outside_pid(), stage.user_namespace() ? " -U --preserve-credentials" : "");
  const std::string admin = fmt::format("--socket /proc/{}/root{}", stage.outside_pid(), gateway_socket);
  const std::uint16_t port = show.home_1().ports.empty() ? std::uint16_t{0} : show.home_1().ports.front();
  return fmt::format(
      "Try in another terminal (the first as the Internet host, the others as the operator):\n"
      "  {0} curl http://{1}:{2}/\n"
      "  {3}{4} lease set {2}/tcp --local 110 {5}\n"
      "  {3}{4} status {5}\n"
      "Ctrl-C ends it all and leaves nothing behind. The leases now:\n",
      enter, gateway_v4, port, sudo, executable, admin);
}

// Prints the table when it has changed, until somebody ends us or nobody reads any more.
void stay_up(const Show& show) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  std::string shown;
  for (;; std::this_thread::sleep_for(demo::limits::table_interval)) {
    const Result<std::vector<LeaseRow>> rows = show.admin().leases();
    const std::string table =
        rows ? draw_leases(*rows, terminal::standard_output_has_colour()) : fmt::format("  {}\n", rows.error().message);
    if (table == shown) continue;
    // On a terminal the new table takes the place of the old one.
    if (terminal && !shown.empty()) fmt::print("\033[{}A\033[J", std::count(shown.begin(), shown.end(), '\n'));
    fmt::print("{}", table);
    if (std::fflush(stdout) != 0) return;
    shown = table;
  }
}

int perform(const DemoOptions& options, const Stage& stage, const system::Fd& executable, const std::string& executable_path) {
  const bool colour = terminal::standard_output_has_colour();
  terminal::Progress progress;
  progress.say("networks are made");
  const Result<Topology> topology = Topology::build();
  if (!topology) {
    const Missing missing = explain_powerless_namespaces(topology.error(), stage.user_namespace(), command_name);
    progress.clear();
    fmt::print(stderr, "drpf demo: {}\n  cure: {}\n", missing.what, missing.cure);
    return terminal::exit_unavailable;
  }
  progress.clear();
  const Stopwatch watch;
  if (!options.json) {
    fmt::print("drpf demo, as {}. All of this is on this machine, in networks of its own:\n{}",
               stage.user_namespace() ? "an ordinary user" : "root", draw_topology());
    std::fflush(stdout);
  }
  Show show(stage, *topology, executable);
  std::vector<Chapter> chapters;
  if (const Status prepared = show.prepare(progress); !prepared) {
    progress.clear();
    chapters.push_back({"The gateway serves", {{"gateway", false, prepared.error().message}}});
    if (!options.json) fmt::print("{}", to_text(chapters.back(), 0, colour));
  } else {
    chapters = show.play(progress, [&](const Chapter& chapter, std::size_t number) {
      if (options.json) return;
      fmt::print("{}", to_text(chapter, number, colour));
      std::fflush(stdout);
    });
  }
  const bool held = all_held(chapters);
  const int code = held ? EXIT_SUCCESS : EXIT_FAILURE;
  stage.give_verdict(code);
  if (!held && options.logs) print_logs();
  if (options.json) fmt::print("{}\n", to_json(chapters));
  if (!options.json) fmt::print("{} ({})\n", held ? "Every fact was observed." : "NOT every fact was observed.", say_time(watch.elapsed()));
  std::fflush(stdout);
  if (options.once) return code;
  if (options.json) {
    for (;;) ::pause();  // whoever reads the JSON wants nothing else on standard output
  }
  fmt::print("{}", commands_to_try(stage, show, executable_path));
  stay_up(show);
  return code;
}

}  // namespace

int run_demo(const DemoOptions& options) {
  const std::vector<Missing> missing = find_missing(requirements, command_name);
  for (const Missing& one : missing) fmt::print(stderr, "drpf demo: {}\n  cure: {}\n", one.what, one.cure);
  if (!missing.empty()) return terminal::exit_unavailable;
  const system::Fd executable(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  if (!executable.valid()) {
    std::perror("drpf demo: cannot open /proc/self/exe");
    return EXIT_FAILURE;
  }
  char path[PATH_MAX] = {};
  if (::readlink("/proc/self/exe", path, sizeof path - 1) < 0) std::strcpy(path, "drpf");
  return run_stage(command_name, [&](const Stage& stage) { return perform(options, stage, executable, path); });
}

}  // namespace drpf::lab::demo
