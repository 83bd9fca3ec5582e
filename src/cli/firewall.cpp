// `drpf firewall`: the personal firewall of this machine, changed. What is looked at is firewall_look.cpp's.
#include "cli/firewall.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <filesystem>

#include "firewall/host/ufw_rules.h"
#include "guard/host/firewall_report.h"
#include "guard/host/open_connections.h"
#include "system/text_file.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;
using firewall::HostRuleset;
using guard::HostFirewall;

constexpr unsigned trial_s_default = 30;

struct ChangeOptions : FirewallOptions {
  std::vector<std::string> words;
  bool commit = false;
  bool even_if_cut = false;
  unsigned trial_s = trial_s_default;
  std::optional<std::size_t> at;
  std::string ufw_folder = "/etc/ufw";
};

struct Told {
  std::string text;                  // what was done
  std::vector<std::string> remarks;  // which rule wins, what could not be carried over
  bool changed = true;
};
using Edit = std::function<Result<Told>(HostRuleset&, const HostFirewall&)>;

std::string sentence_of(const firewall::HostSession& session) {
  return fmt::format("the session that types this ({} to port {})", to_string(session.remote), session.local.port.value());
}

bool passes(const HostRuleset& ruleset, const firewall::HostPacket& packet) {
  const auto treatment = judge(ruleset, packet).treatment;
  return treatment == firewall::Treatment::allow || treatment == firewall::Treatment::limit;
}

struct ChangePlan {
  HostRuleset now;
  HostRuleset next;
  std::vector<std::string> ends;
  std::optional<firewall::HostSession> session;
  bool cuts = false;  // the session
};

void rehearse(ChangePlan& plan) {
  plan.ends = guard::connections_that_end(plan.now, plan.next, guard::open_connections());
  plan.session = guard::typing_session();
  plan.cuts = plan.session && !passes(plan.next, guard::first_packet(*plan.session));
}

int tell_change(const Told& told, const ChangePlan& plan, bool on_trial, const ChangeOptions& options) {
  json::array remarks;
  for (const auto& one : told.remarks) remarks.emplace_back(one);
  json::array ends;
  for (const auto& one : plan.ends) ends.emplace_back(one);
  if (options.json)
    return terminal::print(json::serialize(json::object{{"changed", told.changed},
                                                        {"on", plan.next.on},
                                                        {"trial_seconds", on_trial ? json::value(options.trial_s) : json::value(nullptr)},
                                                        {"connections_that_end", std::move(ends)},
                                                        {"remarks", std::move(remarks)}}) +
                           "\n");
  auto text = told.text + "\n";
  for (const auto& one : told.remarks) text += "  " + one + "\n";
  if (told.changed && !plan.next.on && !plan.now.on) text += "the firewall is off; switch it on: drpf firewall on\n";
  if (!plan.ends.empty()) {
    text += fmt::format("{} connection{} end{}:\n", plan.ends.size(), plan.ends.size() == 1 ? "" : "s", plan.ends.size() == 1 ? "s" : "");
    for (const auto& one : plan.ends) text += "  " + one + "\n";
  }
  if (on_trial)
    text += fmt::format(
        "on trial for {} s, because this is a remote session: keep it by `drpf firewall confirm`, else the kernel takes it back\n",
        options.trial_s);
  return terminal::print(text);
}

Result<HostRuleset> rules_of_now(const HostFirewall& firewall) {
  auto trial = firewall.on_trial();
  if (!trial) return fail(trial.error());
  if (*trial) return std::move(**trial);
  return firewall.confirmed();
}

int change_rules(const ChangeOptions& options, const Edit& edit, bool ends_panic = false) {
  const auto firewall = HostFirewall::open(options.places);
  if (!firewall) return terminal::report(firewall.error());
  const auto lock = firewall->lock();
  if (!lock) return terminal::report(lock.error());
  const auto table = firewall->kernel();
  if (!table) return terminal::report(table.error());
  if (table->panic && !ends_panic)
    return terminal::report(
        refusal("firewall_panic", "nothing passes at present, by `drpf firewall panic`", "put the rules back first: drpf firewall on"));
  auto now = rules_of_now(*firewall);
  if (!now) return terminal::report(now.error());
  ChangePlan plan{*now, *now, {}, {}, false};
  const auto told = edit(plan.next, *firewall);
  if (!told) return terminal::report(told.error());
  if (!table->there || table->panic) plan.now.on = false;
  if (!told->changed) return tell_change(*told, plan, false, options);
  if (!plan.next.on) {
    const auto done = firewall->commit(plan.next);
    return done ? tell_change(*told, plan, false, options) : terminal::report(done.error());
  }
  rehearse(plan);
  const bool on_trial = plan.session && !options.commit;
  if (plan.cuts && !on_trial && !options.even_if_cut)
    return terminal::report(refusal("firewall_cuts_session",
                                    fmt::format("this would cut {}; nothing has changed", sentence_of(*plan.session)),
                                    fmt::format("allow it first: drpf firewall allow {}/tcp from {}; or say --even-if-cut",
                                                plan.session->local.port.value(), to_string(plan.session->remote.address))));
  if (plan.cuts)
    terminal::remark(fmt::format("this cuts {}{}", sentence_of(*plan.session),
                                 on_trial ? fmt::format("; it is taken back in {} s", options.trial_s) : ""));
  const auto done = on_trial ? firewall->try_out(plan.next, std::chrono::seconds(options.trial_s)) : firewall->commit(plan.next);
  return done ? tell_change(*told, plan, on_trial, options) : terminal::report(done.error());
}

Result<Told> add_rule(HostRuleset& ruleset, const HostFirewall& firewall, const std::vector<std::string>& words,
                      std::optional<std::size_t> at) {
  auto rule = firewall::parse_host_rule(words, firewall.names());
  if (!rule) return fail(rule.error());
  const auto text = to_string(*rule);
  auto placed = place(ruleset, std::move(*rule), at);
  if (!placed) return fail(placed.error());
  return Told{fmt::format("rule {}: {}", placed->number, text), std::move(placed->remarks), placed->changed};
}

Result<Told> remove_named(HostRuleset& ruleset, const HostFirewall& firewall, const std::vector<std::string>& words) {
  const auto& first = words.front();
  if (words.size() == 1 && first.find_first_not_of("0123456789") == std::string::npos && first.size() < 9) {
    const auto gone = remove_rule(ruleset, static_cast<std::size_t>(std::stoul(first)));
    if (!gone) return fail(gone.error());
    return Told{"removed: " + to_string(*gone), {}};
  }
  const auto rule = firewall::parse_host_rule(words, firewall.names());
  if (!rule) return fail(rule.error());
  const auto gone = remove_rule(ruleset, *rule);
  if (!gone) return fail(gone.error());
  return Told{"removed: " + to_string(*gone), {}};
}

// What ufw does beside its rules and is another way here.
std::vector<std::string> ufw_defaults(const std::string& text) {
  std::vector<std::string> out;
  if (text.find("DEFAULT_INPUT_POLICY=\"ACCEPT\"") != std::string::npos)
    out.emplace_back("ufw lets in what no rule names; here that is denied");
  if (text.find("DEFAULT_OUTPUT_POLICY=\"DROP\"") != std::string::npos ||
      text.find("DEFAULT_OUTPUT_POLICY=\"REJECT\"") != std::string::npos)
    out.emplace_back(
        "ufw keeps in what no rule names; here it goes out: put `drpf firewall deny out any to 0.0.0.0/0,::/0` last for the same");
  return out;
}

Result<Told> import_ufw(HostRuleset& ruleset, const HostFirewall& firewall, const std::string& folder) {
  std::string text;
  for (const auto* name : {"/user.rules", "/user6.rules"}) text += system::read_text_file(folder + name) + "\n";
  if (text.size() <= 2)
    return fail(not_found("ufw_rules", fmt::format("there are no rules of ufw in {}", folder), "name its folder: --ufw-folder DIR"));
  auto ufw = firewall::read_ufw_rules(text, firewall.names());
  Told told;
  std::size_t taken = 0;
  for (auto& rule : ufw.rules) {
    if (std::find(ruleset.rules.begin(), ruleset.rules.end(), rule) != ruleset.rules.end()) continue;
    if (ruleset.rules.size() >= firewall::host_rules_max)
      return fail(refusal("too_many_rules", "ufw has more rules than are possible here"));
    ruleset.rules.push_back(std::move(rule));
    ++taken;
  }
  told.text = fmt::format("{} rules of ufw taken over, {} not", taken, ufw.not_carried_over.size());
  told.remarks = std::move(ufw.not_carried_over);
  for (auto& one : ufw_defaults(system::read_text_file("/etc/default/ufw"))) told.remarks.push_back(std::move(one));
  told.changed = taken > 0;
  return told;
}

Result<Told> import_file(HostRuleset& ruleset, const HostFirewall& firewall, const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error))
    return fail(not_found("no_such_file", fmt::format("there is no file {}", path), "write one: drpf firewall export > FILE"));
  auto read = firewall::parse_host_ruleset(system::read_text_file(path), firewall.names());
  if (!read)
    return fail(invalid("firewall_file", fmt::format("{}, {}; nothing has changed", path, read.error().message), read.error().cure));
  ruleset.rules = std::move(read->rules);
  return Told{fmt::format("{} rules from {}", ruleset.rules.size(), path), {}};
}

void declare_change(CLI::App& command, ChangeOptions& options) {
  declare_firewall(command, options);
  command.add_flag("--commit", options.commit, "At once and for good, also over a remote session");
  command.add_flag("--even-if-cut", options.even_if_cut, "Also where it cuts the session that types it");
  command.add_option("--trial", options.trial_s, "How long a change over a remote session waits for `confirm`")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
}

void add_change(CLI::App& group, CommandLine& line, const std::string& name, const std::string& what, const std::string& example,
                const std::function<void(CLI::App&, ChangeOptions&)>& declare, const std::function<int(const ChangeOptions&)>& run) {
  add_command<ChangeOptions>(
      group, line, name, what, example,
      [declare](CLI::App& command, ChangeOptions& options) {
        declare(command, options);
        declare_change(command, options);
      },
      run);
}

void add_rule_command(CLI::App& group, CommandLine& line, const std::string& treatment, const std::string& what,
                      const std::string& example) {
  add_change(
      group, line, treatment, what, example,
      [](CLI::App& command, ChangeOptions& options) {
        command
            .add_option("rule", options.words,
                        "[in|out] [on INTERFACE] [SERVICES|any|leased] [from NETWORKS] [to NETWORKS] [comment WORDS]")
            ->required()
            ->type_name("RULE");
        command
            .add_option("--at", options.at, "Its number (default: before the rules that it is an exception of or newer than, else last)")
            ->type_name("N");
      },
      [treatment](const ChangeOptions& options) {
        auto words = options.words;
        words.insert(words.begin(), treatment);
        return change_rules(
            options, [&](HostRuleset& ruleset, const HostFirewall& firewall) { return add_rule(ruleset, firewall, words, options.at); });
      });
}

int switch_on(const ChangeOptions& options) {
  return change_rules(
      options,
      [](HostRuleset& ruleset, const HostFirewall&) -> Result<Told> {
        ruleset.on = true;
        return Told{fmt::format("the firewall is on, with {} rule{}", ruleset.rules.size(), ruleset.rules.size() == 1 ? "" : "s"), {}};
      },
      true);
}

int switch_off(const ChangeOptions& options) {
  return change_rules(
      options,
      [](HostRuleset& ruleset, const HostFirewall&) -> Result<Told> {
        ruleset.on = false;
        return Told{"the firewall is off: nothing of it is left in the kernel; its rules are kept", {}};
      },
      true);
}

int confirm_trial(const FirewallOptions& options) {
  const auto firewall = HostFirewall::open(options.places);
  if (!firewall) return terminal::report(firewall.error());
  const auto lock = firewall->lock();
  if (!lock) return terminal::report(lock.error());
  const auto trial = firewall->on_trial();
  if (!trial) return terminal::report(trial.error());
  if (!*trial)
    return terminal::report(refusal("nothing_on_trial", "no change waits to be confirmed: its time was over, or there was none",
                                    "see what holds: drpf firewall status"));
  if (const auto done = firewall->commit(**trial); !done) return terminal::report(done.error());
  return terminal::print(options.json ? "{\"confirmed\":true}\n"
                                      : "confirmed: the change holds, also after the next start of the machine\n");
}

int start_panic(const FirewallOptions& options) {
  const auto firewall = HostFirewall::open(options.places);
  if (!firewall) return terminal::report(firewall.error());
  const auto lock = firewall->lock();
  if (!lock) return terminal::report(lock.error());
  const auto session = guard::typing_session();
  if (const auto done = firewall->panic(session); !done) return terminal::report(done.error());
  if (options.json)
    return terminal::print(json::serialize(json::object{
                               {"panic", true}, {"session", session ? json::value(to_string(session->remote)) : json::value(nullptr)}}) +
                           "\n");
  return terminal::print(fmt::format("nothing passes any more{}, until `drpf firewall on` or the machine's next start\n",
                                     session ? " but " + sentence_of(*session) : std::string()));
}

// For the unit that runs before the network comes up, and for the one that watches the leased ports.
int restore_rules(const FirewallOptions& options) {
  const auto firewall = HostFirewall::open(options.places);
  if (!firewall) return terminal::report(firewall.error());
  const auto lock = firewall->lock();
  if (!lock) return terminal::report(lock.error());
  const auto restored = firewall->restore();
  if (!restored) return terminal::report(restored.error());
  if (!restored->empty()) terminal::remark("the rules as they were put last are in the kernel, because: " + *restored);
  return terminal::exit_ok;
}

int follow_leases(const FirewallOptions& options) {
  const auto firewall = HostFirewall::open(options.places);
  if (!firewall) return terminal::report(firewall.error());
  const auto lock = firewall->lock();
  if (!lock) return terminal::report(lock.error());
  const auto done = firewall->follow_leases();
  return done ? terminal::exit_ok : terminal::report(done.error());
}

}  // namespace

void declare_firewall(CLI::App& command, FirewallOptions& options) {
  add_json_flag(command, options.json);
  command.add_option("--state", options.places.state, "The folder of its files")
      ->envname("DRPF_FIREWALL_STATE")
      ->type_name("DIR")
      ->capture_default_str();
  command.add_option("--leased-ports", options.places.leased_ports, "Where `drpf connect --ports-file` keeps its files NAME.ports")
      ->type_name("DIR")
      ->capture_default_str();
}

void add_firewall_commands(CLI::App& root, CommandLine& line) {
  auto& group = *root.add_subcommand("firewall", "The personal firewall of this machine: what may come in, and what may go out");
  group.require_subcommand(1);
  group.footer("Example:\n  drpf firewall allow ssh from 192.168.0.0/16 && drpf firewall on");
  const auto none = [](CLI::App&, ChangeOptions&) {};
  add_change(group, line, "on", "Deny what comes in and is not allowed; from now on, and from every start of the machine",
             "drpf firewall on --commit", none, switch_on);
  add_change(group, line, "off", "Let everything pass; nothing is left in the kernel, the rules are kept", "drpf firewall off", none,
             switch_off);
  add_rule_command(group, line, "allow", "Let something pass", "drpf firewall allow ssh,80/tcp from 192.168.0.0/16 --commit");
  add_rule_command(group, line, "deny", "Drop something without an answer", "drpf firewall deny out smtp");
  add_rule_command(group, line, "reject", "Refuse something with an answer", "drpf firewall reject 113/tcp");
  add_rule_command(group, line, "limit", "Let six connections in half a minute pass from one source", "drpf firewall limit ssh");
  add_change(
      group, line, "remove", "Remove a rule, by its number or its words", "drpf firewall remove allow ssh",
      [](CLI::App& command, ChangeOptions& options) {
        command.add_option("rule", options.words, "Its number, or its words")->required()->type_name("RULE");
      },
      [](const ChangeOptions& options) {
        return change_rules(
            options, [&](HostRuleset& ruleset, const HostFirewall& firewall) { return remove_named(ruleset, firewall, options.words); });
      });
  add_change(
      group, line, "import", "Take over all rules of a file, or add those of ufw", "drpf firewall import ufw",
      [](CLI::App& command, ChangeOptions& options) {
        command.add_option("source", options.words, "A file of `drpf firewall export`, or the word ufw")
            ->required()
            ->expected(1)
            ->type_name("FILE|ufw");
        command.add_option("--ufw-folder", options.ufw_folder, "Where ufw has its rules")->type_name("DIR")->capture_default_str();
      },
      [](const ChangeOptions& options) {
        return change_rules(options, [&](HostRuleset& ruleset, const HostFirewall& firewall) {
          return options.words.front() == "ufw" ? import_ufw(ruleset, firewall, options.ufw_folder)
                                                : import_file(ruleset, firewall, options.words.front());
        });
      });
  const auto add_simple = [&](const std::string& name, const std::string& what, int (*run)(const FirewallOptions&)) {
    add_command<FirewallOptions>(group, line, name, what, "drpf firewall " + name, declare_firewall, run);
  };
  add_simple("confirm", "Keep a change that is on trial", confirm_trial);
  add_simple("panic", "Drop everything at once but the session that types it", start_panic);
  add_simple("restore", "Put the rules into the kernel, as at the start of the machine", restore_rules);
  add_simple("follow-leases", "Let `leased` mean the ports that this device holds now", follow_leases);
  add_firewall_look_commands(group, line);
}

}  // namespace drpf::cli
