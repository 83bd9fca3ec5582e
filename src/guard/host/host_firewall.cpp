#include "guard/host/host_firewall.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <utility>

#include "guard/port_names.h"
#include "system/privileges.h"
#include "system/process.h"
#include "system/text_file.h"

namespace drpf::guard {
namespace {

using firewall::HostRuleset;

constexpr Duration apply_time_max = std::chrono::minutes(2);
constexpr Duration look_time_max = std::chrono::seconds(30);
constexpr std::size_t leased_ports_max = 65'535;
constexpr std::size_t nft_words_max = 300;

Result<system::Output> nft(std::vector<std::string> arguments, std::string input, Duration limit) {
  system::Command command;
  command.arguments = std::move(arguments);
  command.arguments.insert(command.arguments.begin(), "nft");
  command.input = std::move(input);
  auto output = system::run(command, limit);
  if (!output && output.error().kind == Error::Kind::not_found)
    return fail(unavailable("nft_missing", "the firewall is put into the kernel by nft, which is not there",
                            "install nftables: apt install nftables"));
  return output;
}

// Each is tried by itself when the whole was refused, so that a kernel that lacks one is told by its name.
struct KernelAbility {
  const char* what;
  const char* chain_or_set;
};
constexpr std::array kernel_abilities = {
    KernelAbility{"tables of the family inet (CONFIG_NF_TABLES_INET)", ""},
    KernelAbility{"connection tracking (CONFIG_NFT_CT)", "add rule inet drpf_trial c ct state established accept"},
    KernelAbility{"sets whose elements end by themselves (CONFIG_NF_TABLES)",
                  "add set inet drpf_trial s { typeof meta nfproto ; flags timeout ; }"},
    KernelAbility{
        "sets that rules add to",
        "add set inet drpf_trial s { type ipv4_addr . inet_proto . inet_service ; size 16 ; flags dynamic,timeout ; timeout 1m ; }"},
    KernelAbility{"sets of networks and port ranges (5.6 or newer)",
                  "add rule inet drpf_trial c ip saddr . tcp dport { 10.0.0.0/8 . 1-2 } accept"},
    KernelAbility{"rates (CONFIG_NFT_LIMIT)", "add rule inet drpf_trial c limit rate 12/minute accept"},
    KernelAbility{"refusals with an answer (CONFIG_NFT_REJECT)", "add rule inet drpf_trial c reject with icmpx type admin-prohibited"},
};

std::string missing_ability() {
  for (const auto& [what, line] : kernel_abilities) {
    const auto text =
        fmt::format("add table inet drpf_trial\nadd chain inet drpf_trial c {{ type filter hook input priority 0 ; }}\n{}\n", line);
    const auto tried = nft({"-c", "-f", "-"}, text, look_time_max);
    if (tried && tried->exit_code != 0) return what;
  }
  return {};
}

Status apply_file(const std::string& path) {
  const auto output = nft({"-f", path}, {}, apply_time_max);
  if (!output) return fail(output.error());
  if (output->exit_code == 0) return {};
  if (const auto missing = missing_ability(); !missing.empty())
    return fail(unavailable("kernel_lacks", fmt::format("this kernel lacks {}; nothing has changed", missing),
                            "run a kernel that has it: modprobe nf_tables, or a newer one"));
  return fail(failure("nft_failed",
                      fmt::format("the kernel does not take the rules, and nothing has changed: {}", output->err.substr(0, nft_words_max)),
                      "see what it says: nft -c -f " + path));
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_time_left(std::string_view listing) {
  std::optional<std::chrono::milliseconds> longest;
  constexpr std::string_view mark = "expires ";
  for (auto at = listing.find(mark); at != std::string_view::npos; at = listing.find(mark, at + 1)) {
    std::chrono::milliseconds total{0};
    for (auto rest = listing.substr(at + mark.size()); !rest.empty();) {
      unsigned number = 0;
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
      if (error != std::errc{}) break;
      rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
      const auto unit = rest.substr(0, std::min(rest.find_first_not_of("dhms"), rest.size()));
      if (unit == "ms")
        total += std::chrono::milliseconds(number);
      else if (unit == "s")
        total += std::chrono::seconds(number);
      else if (unit == "m")
        total += std::chrono::minutes(number);
      else if (unit == "h")
        total += std::chrono::hours(number);
      rest.remove_prefix(unit.size());
    }
    longest = std::max(longest.value_or(total), total);
  }
  return longest;
}

Result<HostFirewall> HostFirewall::open(const FirewallPlaces& places) {
  if (!system::has_capability(system::Capability::net_admin))
    return fail(
        not_permitted("firewall_rights", "the firewall is root's to look at and to change", "run it as root: sudo drpf firewall ..."));
  auto registry = port_names();
  if (!registry) return fail(registry.error());
  std::vector<firewall::Profile> profiles;
  std::optional<Error> wrong;
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(StateFolder(places.state).path_of(state_file::profiles), error))
    if (entry.is_regular_file(error)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    auto read = firewall::parse_profiles(system::read_text_file(file));
    if (!read) {
      wrong = invalid("profile_file", fmt::format("{}: {}", file.string(), read.error().message), read.error().cure);
      continue;
    }
    profiles.insert(profiles.end(), std::make_move_iterator(read->begin()), std::make_move_iterator(read->end()));
  }
  return HostFirewall(places, firewall::ServiceNames(std::move(*registry), std::move(profiles)), std::move(wrong));
}

Result<KernelTable> HostFirewall::kernel() const {
  const auto listed = nft({"list", "set", "inet", std::string(firewall::host_table), std::string(firewall::trial_set)}, {}, look_time_max);
  if (!listed) return fail(listed.error());
  KernelTable table;
  if (listed->exit_code != 0) {
    if (listed->err.find("No such file") != std::string::npos) return table;
    return fail(failure("nft_failed", "reading the firewall from the kernel: " + listed->err.substr(0, listed->err.find('\n'))));
  }
  table.there = true;
  table.trial_left = parse_time_left(listed->out);
  const auto chain = nft({"list", "chain", "inet", std::string(firewall::host_table), "input"}, {}, look_time_max);
  if (!chain) return fail(chain.error());
  table.panic = chain->out.find("comment \"panic\"") != std::string::npos;
  return table;
}

Result<std::optional<HostRuleset>> HostFirewall::read(std::string_view file) const {
  if (wrong_profile_) return fail(*wrong_profile_);
  const auto text = folder_.read(file);
  if (!text) return fail(text.error());
  if (!*text) return std::nullopt;
  auto ruleset = firewall::parse_host_ruleset(**text, names_);
  if (!ruleset)
    return fail(invalid("firewall_file",
                        fmt::format("{}, {}; the rules in the kernel stay as they are", folder_.path_of(file), ruleset.error().message),
                        ruleset.error().cure));
  ruleset->leased = leased_now();
  return std::move(*ruleset);
}

Result<HostRuleset> HostFirewall::confirmed() const {
  auto ruleset = read(state_file::rules);
  if (!ruleset) return fail(ruleset.error());
  return ruleset->value_or(HostRuleset{});
}

Result<std::optional<HostRuleset>> HostFirewall::on_trial() const {
  const auto table = kernel();
  if (!table) return fail(table.error());
  if (!table->trial_left) return std::nullopt;
  return read(state_file::trial);
}

Result<std::optional<HostRuleset>> HostFirewall::taken_back() const {
  const auto table = kernel();
  if (!table) return fail(table.error());
  if (table->trial_left) return std::nullopt;
  return read(state_file::trial);
}

Status HostFirewall::commit(const HostRuleset& ruleset) const {
  auto rules = folder_.stage(state_file::rules, to_string(ruleset));
  if (!rules) return fail(rules.error());
  auto table = folder_.stage(state_file::table, ruleset.on ? host_nft_text(ruleset) : firewall::host_nft_removal());
  if (!table) return fail(table.error());
  if (auto applied = apply_file(table->path()); !applied) return applied;
  if (auto put = rules->put(); !put) return put;
  folder_.remove(state_file::trial);
  return table->put();
}

Status HostFirewall::try_out(const HostRuleset& ruleset, std::chrono::seconds time) const {
  auto before = confirmed();
  if (!before) return fail(before.error());
  auto trial = folder_.stage(state_file::trial, to_string(ruleset));
  if (!trial) return fail(trial.error());
  const auto text = folder_.stage("trial.nft", host_nft_text(ruleset, firewall::HostTrial{std::move(*before), time}));
  if (!text) return fail(text.error());
  // The file first: whoever confirms finds what the kernel tries.
  if (auto put = trial->put(); !put) return put;
  if (auto applied = apply_file(text->path()); !applied) {
    folder_.remove(state_file::trial);
    return applied;
  }
  return {};
}

Status HostFirewall::panic(const std::optional<firewall::HostSession>& session) const {
  HostRuleset ruleset;
  ruleset.panic = true;
  ruleset.session = session;
  const auto output = nft({"-f", "-"}, host_nft_text(ruleset), apply_time_max);
  if (!output) return fail(output.error());
  if (output->exit_code != 0)
    return fail(failure("nft_failed", "the kernel does not take the rules: " + output->err.substr(0, nft_words_max)));
  folder_.remove(state_file::trial);
  return {};
}

Result<std::string> HostFirewall::restore() const {
  folder_.remove(state_file::trial);
  auto ruleset = confirmed();
  if (ruleset) {
    if (!ruleset->on) return std::string();
    if (auto done = commit(*ruleset); !done) return fail(done.error());
    return std::string();
  }
  const auto table = folder_.read(state_file::table);
  if (!table) return fail(table.error());
  if (!*table) return fail(ruleset.error());
  if (auto applied = apply_file(folder_.path_of(state_file::table)); !applied) return fail(applied.error());
  return ruleset.error().message;
}

Status HostFirewall::follow_leases() const {
  const auto table = kernel();
  if (!table) return fail(table.error());
  if (!table->there || table->panic) return {};
  const auto output = nft({"-f", "-"}, firewall::host_nft_leased(leased_now()), apply_time_max);
  if (!output) return fail(output.error());
  if (output->exit_code != 0)
    return fail(failure("nft_failed", "the kernel does not take the leased ports: " + output->err.substr(0, nft_words_max)));
  return {};
}

std::vector<firewall::ServicePorts> HostFirewall::leased_now() const {
  std::vector<firewall::ServicePorts> ports;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(places_.leased_ports, error)) {
    if (entry.path().extension() != ".ports" || !entry.is_regular_file(error)) continue;
    const auto text = system::read_text_file(entry.path());
    for (std::string_view rest = text; !rest.empty() && ports.size() < 2 * leased_ports_max;) {
      const auto end = std::min(rest.find('\n'), rest.size());
      const auto port = parse_port(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (!port || port->is_zero()) continue;
      for (const auto protocol : {Protocol::tcp, Protocol::udp}) ports.push_back({protocol, PortRange(*port)});
    }
  }
  return firewall::merged(std::move(ports));
}

}  // namespace drpf::guard
