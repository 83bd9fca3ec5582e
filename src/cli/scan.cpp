// `drpf scan`
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <initializer_list>

#include "cli/command_line.h"
#include "cli/scan_words.h"
#include "core/utc_text.h"
#include "crypto/wireguard_primitives.h"
#include "probe/scanner.h"
#include "scan/tell/report_forms.h"
#include "survey/audit.h"
#include "survey/environment.h"
#include "survey/options.h"
#include "survey/own_leases.h"
#include "survey/plan.h"
#include "survey/progress.h"
#include "survey/resume.h"
#include "survey/run.h"
#include "system/boot_clock.h"
#include "system/privileges.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

using system::Capability;

// What strangers send is read with no more than this: sockets of each group of hosts, their buffers, and a resume file in a folder of the
// user behind sudo.
constexpr std::initializer_list<Capability> rights_kept = {Capability::net_raw, Capability::net_admin, Capability::dac_override};

constexpr const char* examples =
    "  drpf scan 192.168.1.1                          1,000 TCP ports of one host\n"
    "  drpf scan 192.168.1.0/24 -p 22,80,https        three ports of each host that is there\n"
    "  drpf scan nas.home.arpa -p T:1-1024,U:53,161   TCP and UDP\n"
    "  drpf scan 10.0.0.1-20 --exclude 10.0.0.7 --json\n"
    "  drpf scan fd00::1 -p - --output xml:scan.xml   all ports; the table on the screen, XML in a file\n"
    "  drpf scan --mine --gateway 10.77.0.1           on a device: its own leased ports, from outside\n"
    "The usual letters are understood too: drpf scan -sS -Pn -p- -oX scan.xml 192.168.1.1\n"
    "Exit code 0: all ports decided; 3: some stayed undecided; 130: interrupted. docs/scanner.md explains states, scope and rates.";

void declare_kinds(CLI::App& command, survey::Options& options) {
  const std::string group = "Kind of scan (SYN, or connect without CAP_NET_RAW)";
  command.add_flag("--syn", options.syn, "TCP SYN")->group(group);
  command.add_flag("--connect", options.connect, "TCP by whole connections; needs no right")->group(group);
  command.add_flag("--ack", options.ack, "TCP ACK: filtered or not")->group(group);
  command.add_flag("--window", options.window, "TCP ACK, judged by the window")->group(group);
  command.add_flag("--fin", options.fin, "TCP FIN")->group(group);
  command.add_flag("--null", options.null, "TCP without flags")->group(group);
  command.add_flag("--xmas", options.xmas, "TCP FIN, PSH and URG")->group(group);
  command.add_flag("--maimon", options.maimon, "TCP FIN and ACK")->group(group);
  command.add_flag("--udp", options.udp, "UDP, with requests that the common services answer")->group(group);
  command.add_flag("--ip-protocol", options.ip_protocol, "IP protocols instead of ports")->group(group);
  command.add_option("--idle", options.idle, "TCP through a host of yours that is idle")->type_name("ZOMBIE[:PORT]")->group(group);
  command.add_flag("--udp-fast", options.udp_fast, "UDP: do not wait for ICMP errors that the target holds back")->group(group);
}

void declare_output(CLI::App& command, survey::Options& options) {
  const std::string group = "Output";
  command.add_flag("--json", options.json, "JSON: an array of hosts with every port")->group(group);
  command.add_flag("--xml", options.xml, "XML in the widespread dialect")->group(group);
  command.add_flag("--grepable", options.grepable, "One line per host")->group(group);
  command.add_flag("--csv", options.csv, "One row per port")->group(group);
  command.add_option("--format", options.format, "The same by name")->type_name("table|json|jsonl|xml|grepable|csv")->group(group);
  command.add_option("--output", options.outputs, "Into a file as well; may be given several times")
      ->type_name("FORMAT:FILE")
      ->allow_extra_args(false)
      ->group(group);
  command.add_flag("--reason", options.reason, "Table: sender, TTL, round-trip time and probes of each port")->group(group);
  command.add_flag("--verbose", options.verbose, "Table: every port and every host")->group(group);
  command.add_flag("--open", options.open, "Table and grepable: open ports only")->group(group);
  command.add_flag("--banner", options.banner, "Ask open TCP ports what they say about themselves")->group(group);
  command.add_option("--progress", options.progress, "On standard error")
      ->type_name("auto|none|line|json")
      ->capture_default_str()
      ->group(group);
}

void declare(CLI::App& command, survey::Options& options) {
  command.add_option("targets", options.targets, "Addresses (fe80::1%eth0), prefixes, ranges (10.0.0.1-20), names")->type_name("TARGET");
  command
      .add_option("-p,--ports", options.ports,
                  "Numbers, ranges, service names, http*; 53/udp, or T: and U: for what follows; [1-1024] with a name; - is all")
      ->type_name("PORTS");
  command.add_option("--top", options.top, "The likeliest N (default: 1,000 TCP, 100 UDP)")->type_name("N")->check(CLI::Range(1, 65535));
  command.add_option("--exclude", options.exclude, "Targets that are not asked")->type_name("TARGET,...")->allow_extra_args(false);
  command.add_option("--exclude-file", options.exclude_files, "A file of them; - is standard input")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command.add_option("--targets-file", options.targets_files, "A file of targets; - is standard input")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command.add_flag("-4", options.only_v4, "IPv4 addresses of names only");
  command.add_flag("-6", options.only_v6, "IPv6 addresses of names only");
  command.add_flag("--all-addresses", options.all_addresses, "All addresses of a name, not the first of each family");
  command.add_flag("--discovery", options.discovery, "Look first whether a host is there, also for hosts named one by one");
  command.add_flag("--no-discovery", options.no_discovery, "Ask the ports of every address");
  command.add_flag("--only-discovery", options.only_discovery, "Only look which hosts are there: up, why, and the hardware address");
  declare_kinds(command, options);
  const std::string group = "Scope and rate";
  command.add_flag("--i-own-these", options.i_own_these, "Scan outside of the private and own ranges; written down")->group(group);
  command.add_flag("--more-than-65536", options.more_than_65536, "Scan more addresses than a /16 has")->group(group);
  command.add_option("--max-rate", options.max_rate, "Packets per second at most (ceiling: 100,000)")->type_name("RATE")->group(group);
  command.add_option("--start-rate", options.start_rate, "Packets per second to begin with (1,000; on link 20,000)")
      ->type_name("RATE")
      ->group(group);
  command.add_option("--retries", options.retries, "Repeat a probe N times and no more: results are marked as forced")
      ->type_name("N")
      ->check(CLI::Range(0, 99))
      ->group(group);
  command.add_option("--interface", options.interface, "Leave by this interface")->type_name("NAME")->group(group);
  command.add_option("--source", options.source, "From this address of this machine")->type_name("ADDRESS")->group(group);
  command.add_flag("--through-own-rules", options.through_own_rules, "Raw probes obey this machine's firewall; else they go around it")
      ->group(group);
  declare_output(command, options);
  const std::string own = "Own leases";
  command.add_flag("--mine", options.mine, "Your leased ports as strangers find them, and what changed since the last time")->group(own);
  command.add_option("--gateway", options.gateway, "On a device: the gateway's address inside the tunnel")
      ->type_name("ADDRESS[:PORT]")
      ->group(own);
  options.socket = api_client::socket_path_default;
  add_socket_option(command, options.socket);
  command.get_option("--socket")->group(own);
  command.add_option("--since", options.since, "The file that keeps what was found the last time")->type_name("FILE")->group(own);
  const std::string later = "Going on with an interrupted scan";
  command.add_option("--resume", options.resume, "Go on with the scan of this file, exactly where it ended")
      ->type_name("FILE")
      ->group(later);
  command.add_option("--resume-file", options.resume_file, "Where an interrupted scan leaves what it knows")
      ->type_name("FILE")
      ->group(later);
  command.add_flag("--no-resume", options.no_resume, "Leave no such file")->group(later);
  // A resumed scan may be given these anew.
  for (const auto* name : {"--max-rate", "--start-rate", "--retries", "--format", "--progress"})
    command.get_option(name)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

Result<scan::Format> screen_format(const survey::Options& options) {
  std::vector<scan::Format> chosen;
  for (const auto& [flag, format] : {std::pair{options.json, scan::Format::json}, std::pair{options.xml, scan::Format::xml},
                                     std::pair{options.grepable, scan::Format::grepable}, std::pair{options.csv, scan::Format::csv}})
    if (flag) chosen.push_back(format);
  if (!options.format.empty()) {
    const auto format = scan::find_format(options.format);
    if (!format) return fail(wrong_usage(fmt::format("there is no format '{}'", options.format), "table, json, jsonl, xml, grepable, csv"));
    chosen.push_back(*format);
  }
  if (chosen.size() > 1) return fail(wrong_usage("two formats for the same output", "--output FORMAT:FILE writes further ones into files"));
  return chosen.empty() ? scan::Format::table : chosen.front();
}

using File = std::shared_ptr<std::FILE>;  // shared with the function that writes into it

survey::Output output_into(File file, std::string name, scan::Format format, const survey::Options& options, survey::Progress* progress) {
  const scan::ReportOptions form{.facts = options.reason, .all = options.verbose, .open_only = options.open};
  return {make_report(format, form), [file, name, progress](std::string_view text) -> Status {
            if (text.empty()) return {};
            if (progress) progress->clear();
            if (std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() && std::fflush(file.get()) == 0) return {};
            return fail(failure("output_failed", fmt::format("cannot write to {}: {}", name, std::strerror(errno)),
                                "check the disk or the reader"));
          }};
}

Result<std::vector<survey::Output>> outputs_of(const survey::Options& options, scan::Format screen, survey::Progress& progress) {
  std::vector<survey::Output> outputs;
  bool screen_taken = false;
  for (const auto& text : options.outputs) {
    const auto colon = text.find(':');
    const auto format = scan::find_format(std::string_view(text).substr(0, colon));
    if (colon == std::string::npos || !format)
      return fail(wrong_usage(fmt::format("--output {} names no format and file", text), "e.g. --output xml:scan.xml, --output json:-"));
    const auto path = text.substr(colon + 1);
    if (path == "-") {
      if (screen_taken || screen != scan::Format::table)
        return fail(wrong_usage("two formats for the same output", "write one of them into a file"));
      screen_taken = true;
      outputs.push_back(output_into({stdout, [](std::FILE*) {}}, "standard output", *format, options, &progress));
      continue;
    }
    const File file(std::fopen(path.c_str(), "we"), [](std::FILE* open) {
      if (open) std::fclose(open);
    });
    if (!file)
      return fail(
          failure("output_failed", fmt::format("cannot write {}: {}", path, std::strerror(errno)), "check the path and its rights"));
    outputs.push_back(output_into(file, path, *format, options, nullptr));
  }
  if (!screen_taken) outputs.push_back(output_into({stdout, [](std::FILE*) {}}, "standard output", screen, options, &progress));
  return outputs;
}

std::string described(const survey::Plan& plan) {
  std::string text;
  for (const auto& range : plan.admitted.vouched_for().ranges()) text += (text.empty() ? "" : ", ") + to_string(range);
  for (const auto& pass : plan.passes)
    text += fmt::format("; {}: {} {}", to_string(pass.kind), pass.numbers.size(), pass.numbers.size() == 1 ? "port" : "ports");
  return text;
}

// What the table says itself, for those who read another form on standard output.
void tell_the_end(const scan::ReportHead& head, const scan::ReportTail& tail) {
  for (const auto& warning : tail.warnings) terminal::remark("warning: " + warning);
  for (const auto& sentence : tally_sentences(head, tail)) terminal::remark(sentence);
  for (const auto& ports : tail.undecided) terminal::remark("undecided: " + ports);
}

// The words of the file with those of this command line behind them; permissions count only from the latter.
Result<survey::Options> options_to_resume(const survey::Options& given, const std::vector<std::string>& words,
                                          const scan::ResumeFile& file) {
  auto all = survey::words_to_keep(file.words);
  const auto more = survey::words_to_keep(words);
  all.insert(all.end(), more.begin(), more.end());
  std::reverse(all.begin(), all.end());  // CLI11 takes the last first
  CLI::App command("", "drpf scan");
  survey::Options options;
  declare(command, options);
  try {
    command.parse(std::move(all));
  } catch (const CLI::ParseError& error) {
    return fail(wrong_usage(error.what(),
                            "with --resume FILE and no target, the options come from the file; only output and rates may be given anew"));
  }
  options.i_own_these = given.i_own_these;
  options.more_than_65536 = given.more_than_65536;
  options.resume = given.resume;
  options.resume_file = given.resume_file;
  return options;
}

struct Job {
  survey::Options options;
  std::vector<std::string> words;  // of the command line that this scan can be resumed by
  std::optional<scan::ResumeFile> earlier;
};

Result<Job> job_of(const survey::Options& options, const std::vector<std::string>& words, const survey::Environment& environment) {
  if (options.resume.empty()) return Job{options, survey::words_to_keep(words), std::nullopt};
  const auto text = environment.read_file(options.resume, scan::resume_file_max);
  if (!text) return fail(text.error().kind == Error::Kind::not_found ? wrong_usage(text.error().message, text.error().cure) : text.error());
  auto file = scan::parse_resume_file(*text);
  if (!file) return fail(file.error());
  if (!options.targets.empty() || !options.targets_files.empty()) return Job{options, survey::words_to_keep(words), std::move(*file)};
  auto merged = options_to_resume(options, words, *file);
  if (!merged) return fail(merged.error());
  auto kept = survey::words_to_keep(file->words);
  return Job{std::move(*merged), std::move(kept), std::move(*file)};
}

std::string resume_path(const survey::Options& options, WallTime now) {
  if (!options.resume_file.empty()) return options.resume_file;
  if (!options.resume.empty()) return options.resume;
  auto stamp = utc_text(now);
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
  return "drpf-scan-" + stamp + ".resume";
}

void leave_resume_file(const Job& job, const survey::Plan& plan, const survey::Knowledge& knowledge, const scan::ReportTail& tail,
                       bool failed) {
  const bool unfinished = failed && (tail.hosts_not_begun > 0 || tail.tally.undecided > 0);
  const bool wanted = tail.tally.interrupted || unfinished || (tail.tally.undecided > 0 && !job.options.resume_file.empty());
  if (!wanted || job.options.no_resume) return;
  if (!survey::keeps_everything(plan))
    return terminal::remark(fmt::format("no resume file: a scan of more than {} ports in all is not kept", survey::ports_kept_max));
  const auto path = resume_path(job.options, tail.finished);
  const auto written = survey::write_resume_file(path, survey::resume_file_of(plan, knowledge, job.words));
  if (!written) return void(terminal::report(written.error()));
  terminal::remark(fmt::format("to go on: drpf scan --resume {}", path));
}

// What is left of the scan needs nobody's rights but those to its own files. Where that fails, the scan goes on as it was.
void give_up_raw_sockets() { (void)system::give_up_privileges({Capability::dac_override}, std::nullopt); }

int carry_out(const Job& job, const survey::Plan& plan, scan::Format screen, survey::ProgressForm form,
              const survey::Environment& environment) {
  const auto& options = job.options;
  const system::SystemClock clock;
  survey::Knowledge knowledge(plan);
  if (job.earlier) {
    auto known = survey::knowledge_of(*job.earlier, plan);
    if (!known) return terminal::report(known.error());
    knowledge = std::move(*known);
  } else {
    crypto::SystemRandom random;
    knowledge.seed = random.u64();
  }
  if (!plan.admitted.vouched_for().empty()) {
    const auto written =
        survey::write_audit(survey::audit_file(), {clock.wall_now(), survey::who_is_asking(), described(plan), plan.pace.ceiling});
    if (!written) return terminal::report(written.error());
  }
  survey::Progress progress(form);
  auto outputs = outputs_of(options, screen, progress);
  if (!outputs) return terminal::report(outputs.error());
  if (const auto fewer = system::give_up_privileges(rights_kept, std::nullopt); !fewer) return terminal::report(fewer.error());
  const survey::StopSignals signals;
  const probe::BannerLimits banner_limits{.interface = plan.interface};
  const survey::Surroundings around{.scanner = probe::run_scan,
                                    .banners = options.banner ? survey::BannerReader([&](const auto& wishes, const auto& stop) {
                                      return probe::read_banners(wishes, banner_limits, stop);
                                    })
                                                              : nullptr,
                                    .clock = clock,
                                    .stop = [&] { return signals.asked(); },
                                    .service_name = environment.service_name,
                                    .progress = [&](const survey::ProgressState& state) { progress.show(state); },
                                    .last_sockets_open = give_up_raw_sockets};
  const scan::ReportHead head{.version = DRPF_VERSION,
                              .command = fmt::format("drpf scan {}", fmt::join(job.words, " ")),
                              .started = clock.wall_now(),
                              .passes = plan.only_discovery ? std::vector<scan::PassHead>{} : plan.passes,
                              .targets = plan.targets.size(),
                              .forced = plan.pace.probes_max.has_value()};
  const auto outcome = survey::run_plan(plan, head, knowledge, *outputs, around);
  progress.clear();
  if (screen != scan::Format::table) tell_the_end(head, outcome.tail);
  leave_resume_file(job, plan, knowledge, outcome.tail, outcome.error.has_value());
  if (outcome.error) return terminal::report(*outcome.error);
  if (outcome.tail.tally.interrupted) return terminal::exit_interrupted;
  return outcome.tail.undecided.empty() ? terminal::exit_ok : terminal::exit_undecided;
}

int scan_targets(const survey::Options& given, const std::vector<std::string>& words) {
  if (given.mine) return survey::scan_own_leases(given);
  const auto environment = survey::environment_here();
  const auto job = job_of(given, words, environment);
  if (!job) return terminal::report(job.error());
  const auto screen = screen_format(job->options);
  if (!screen) return terminal::report(screen.error());
  const auto form = survey::progress_form(job->options.progress, isatty(STDERR_FILENO) == 1);
  if (!form)
    return terminal::report(wrong_usage(fmt::format("there is no progress '{}'", job->options.progress), "auto, none, line or json"));
  const auto plan = survey::make_plan(job->options, environment);
  if (!plan) return terminal::report(plan.error());
  for (const auto& sentence : plan->remarks) terminal::remark(sentence);
  for (const auto& sentence : plan->unresolved) terminal::remark(sentence + "; the others are asked");
  return carry_out(*job, *plan, *screen, *form, environment);
}

}  // namespace

void add_scan_command(CLI::App& root, CommandLine& line) {
  auto& command =
      add_command<survey::Options>(root, line, "scan", "See which ports of your hosts are open, closed or filtered, and why", "", declare,
                                   [&line](const survey::Options& options) { return scan_targets(options, line.words); });
  command.footer(std::string("Examples:\n") + examples);
}

Result<std::vector<std::string>> scan_words(const std::vector<std::string>& words) {
  auto translated = translate(words);
  if (!translated) return fail(translated.error());
  for (const auto& sentence : translated->remarks) terminal::remark(sentence);
  return std::move(translated->words);
}

}  // namespace drpf::cli
