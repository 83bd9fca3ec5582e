// `drpf firewall status|rules|log|test|export`: changes nothing.
#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <chrono>
#include <map>
#include <thread>

#include "cli/firewall.h"
#include "firewall/host/host_judge.h"
#include "guard/host/firewall_report.h"
#include "system/links_and_routes.h"
#include "system/route_lookup.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;
using firewall::HostPacket;
using firewall::HostRuleset;
using guard::HostFirewall;

constexpr std::size_t log_lines_per_look_max = 20;
constexpr std::chrono::seconds log_look_every{1};

struct RefusedLogOptions : FirewallOptions {
  bool follow = false;
};

struct PacketTestOptions : FirewallOptions {
  std::string from;
  std::string port;
  std::string interface;
  std::string to;
  bool out = false;
};

int show_status(const FirewallOptions& options) {
  const auto firewall = HostFirewall::open(options.places);
  if (!firewall) return terminal::report(firewall.error());
  const auto status = firewall_status(*firewall);
  if (!status) return terminal::report(status.error());
  return terminal::print(options.json ? json::serialize(*status) + "\n" : guard::status_page(*status));
}

Result<HostRuleset> rules_that_hold(const HostFirewall& firewall) {
  auto trial = firewall.on_trial();
  if (!trial) return fail(trial.error());
  if (*trial) return std::move(**trial);
  return firewall.confirmed();
}

int show_rules(const FirewallOptions& options) {
  const auto firewall = HostFirewall::open(options.places);
  if (!firewall) return terminal::report(firewall.error());
  const auto ruleset = rules_that_hold(*firewall);
  if (!ruleset) return terminal::report(ruleset.error());
  if (!options.json) return terminal::print(guard::rules_page(*ruleset));
  json::array out;
  for (std::size_t i = 0; i < ruleset->rules.size(); ++i)
    out.push_back(json::object{{"number", i + 1}, {"text", to_string(ruleset->rules[i])}});
  return terminal::print(json::serialize(out) + "\n");
}

int export_rules(const FirewallOptions& options) {
  const auto firewall = HostFirewall::open(options.places);
  if (!firewall) return terminal::report(firewall.error());
  const auto ruleset = rules_that_hold(*firewall);
  if (!ruleset) return terminal::report(ruleset.error());
  return terminal::print(options.json ? json::serialize(json::object{{"text", to_string(*ruleset)}}) + "\n" : to_string(*ruleset));
}

// What was refused since the last look, a line for each source and port; of a flood only how many there were more.
int follow_log(const HostFirewall& firewall, bool as_json) {
  std::map<std::string, std::uint64_t> counted;
  for (bool first = true;; first = false) {
    const auto refused = refused_lately(firewall);
    if (!refused) return terminal::report(refused.error());
    json::array news;
    for (const auto& one : *refused) {
      const auto& row = one.as_object();
      auto& before = counted[json::serialize(row.at("source")) + json::serialize(row.at("port")) + json::serialize(row.at("protocol"))];
      const auto packets = row.at("packets").to_number<std::uint64_t>();
      // An element that ended counts anew.
      const auto more = packets >= before ? packets - before : packets;
      before = packets;
      if (more == 0 || first) continue;
      auto changed = row;
      changed["packets"] = more;
      news.push_back(std::move(changed));
    }
    std::string text;
    for (std::size_t i = 0; i < std::min(news.size(), log_lines_per_look_max); ++i) {
      const auto& row = news[i].as_object();
      text += as_json ? json::serialize(row) + "\n"
                      : fmt::format("{} -> {}/{} {}: {} refused\n", row.at("source").as_string().c_str(),
                                    row.at("port").to_number<unsigned>(), row.at("protocol").as_string().c_str(),
                                    row.at("service").as_string().c_str(), row.at("packets").to_number<std::uint64_t>());
    }
    if (news.size() > log_lines_per_look_max && !as_json)
      text += fmt::format("and {} more sources and ports\n", news.size() - log_lines_per_look_max);
    if (!text.empty())
      if (const auto printed = terminal::print(text); printed != terminal::exit_ok) return printed;
    std::this_thread::sleep_for(log_look_every);
  }
}

int show_log(const RefusedLogOptions& options) {
  const auto firewall = HostFirewall::open(options.places);
  if (!firewall) return terminal::report(firewall.error());
  if (options.follow) return follow_log(*firewall, options.json);
  const auto refused = refused_lately(*firewall);
  if (!refused) return terminal::report(refused.error());
  return terminal::print(options.json ? json::serialize(*refused) + "\n" : guard::refused_page(*refused));
}

// By where the way to the other side leads, and with the machine's own address of that interface.
Status fill_in(HostPacket& packet, const Address& other, const PacketTestOptions& options) {
  auto network = system::LinksAndRoutes::open();
  if (!network) return fail(network.error());
  packet.interface = options.interface;
  Address own = other.is_v4() ? Address() : Address::from_bytes(std::array<std::uint8_t, 16>{});
  if (auto routes = system::RouteLookup::open()) {
    if (const auto path = routes->path_to(other)) {
      own = path->source;
      const auto links = network->links();
      if (packet.interface.empty() && links)
        for (const auto& link : *links)
          if (link.index == path->interface_index) packet.interface = link.name;
    }
  }
  if (!options.to.empty()) {
    const auto to = parse_address(options.to);
    if (!to || to->family() != other.family())
      return fail(wrong_usage(fmt::format("'{}' is no address of the same family as {}", options.to, to_string(other))));
    own = *to;
  }
  packet.source = packet.direction == firewall::Direction::in ? other : own;
  packet.destination = packet.direction == firewall::Direction::in ? own : other;
  return {};
}

int test_packet(const PacketTestOptions& options) {
  const auto firewall = HostFirewall::open(options.places);
  if (!firewall) return terminal::report(firewall.error());
  const auto ruleset = rules_that_hold(*firewall);
  if (!ruleset) return terminal::report(ruleset.error());
  const auto from = parse_address(options.from);
  if (!from)
    return terminal::report(
        wrong_usage(fmt::format("'{}' is no address", options.from), "give the other side's: drpf firewall test 203.0.113.5 ssh"));
  const auto ports = firewall->names().ports_of(options.port);
  if (!ports) return terminal::report(ports.error());
  HostPacket packet;
  packet.direction = options.out ? firewall::Direction::out : firewall::Direction::in;
  if (const auto filled = fill_in(packet, *from, options); !filled) return terminal::report(filled.error());
  packet.source_port = Port{40000};
  json::array out;
  std::string text;
  for (const auto& one : *ports) {
    packet.protocol = static_cast<std::uint8_t>(one.protocol);
    packet.destination_port = one.ports.first();
    const auto judgement = judge(*ruleset, packet);
    const auto port = fmt::format("{}/{}", packet.destination_port.value(), to_string(one.protocol));
    out.push_back(json::object{{"port", port},
                               {"interface", packet.interface},
                               {"treatment", std::string(to_string(judgement.treatment))},
                               {"rule", judgement.rule ? json::value(*judgement.rule + 1) : json::value(nullptr)},
                               {"because", judgement.rule ? to_string(ruleset->rules[*judgement.rule]) : judgement.because}});
    text += fmt::format("{} {} {}{}: {}\n", port, options.out ? "to" : "from", to_string(*from),
                        packet.interface.empty() ? "" : " on " + packet.interface, to_string(judgement, *ruleset));
  }
  return terminal::print(options.json ? json::serialize(out) + "\n" : text);
}

}  // namespace

void add_firewall_look_commands(CLI::App& group, CommandLine& line) {
  add_command<FirewallOptions>(group, line, "status",
                               "What is open, who listens behind it, what was refused, and what other programs do beside it",
                               "drpf firewall status --json", declare_firewall, show_status);
  add_command<FirewallOptions>(group, line, "rules", "The rules with their numbers, in the order in which they decide",
                               "drpf firewall rules", declare_firewall, show_rules);
  add_command<FirewallOptions>(group, line, "export", "The rules as a file that `import` takes", "drpf firewall export > rules",
                               declare_firewall, export_rules);
  add_command<RefusedLogOptions>(
      group, line, "log", "Who was refused within the last hour, and at which ports", "drpf firewall log --follow",
      [](CLI::App& command, RefusedLogOptions& options) {
        declare_firewall(command, options);
        command.add_flag("-f,--follow", options.follow, "Go on telling, until Ctrl-C");
      },
      show_log);
  add_command<PacketTestOptions>(
      group, line, "test", "What would happen to a packet, and by which rule; nothing is sent", "drpf firewall test 203.0.113.5 ssh",
      [](CLI::App& command, PacketTestOptions& options) {
        command.add_option("from", options.from, "The other side's address")->required()->type_name("ADDRESS");
        command.add_option("port", options.port, "The port or service")->required()->type_name("PORT");
        command.add_option("--on", options.interface, "The interface (default: by which the way to the address leads)")
            ->type_name("INTERFACE");
        command.add_option("--to", options.to, "This machine's address (default: the one it answers with)")->type_name("ADDRESS");
        command.add_flag("--out", options.out, "What this machine sends to it");
        declare_firewall(command, options);
      },
      test_packet);
}

}  // namespace drpf::cli
