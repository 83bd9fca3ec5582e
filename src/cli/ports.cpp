// `drpf ports`: which service a port is for, and what one should know before opening it.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <optional>

#include "cli/command_line.h"
#include "guard/own_ports.h"
#include "guard/port_names.h"
#include "registry/port_query.h"
#include "registry/scan_ports.h"
#include "terminal/port_report.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;
using registry::PortClass;
using registry::PortRegistry;
using registry::Service;

constexpr std::size_t rows_shown_max = 40;      // unless --all
constexpr std::uint32_t single_ports_max = 16;  // of a range, whose unassigned ones are shown one by one

struct PortsOptions {
  std::vector<std::string> queries;
  std::string range;
  std::string services;
  bool all = false;
  bool json = false;
  bool mine = false;
  bool scan_list = false;
  std::size_t top = registry::default_scan_count;
  bool udp = false;
};

struct Answers {
  std::vector<Service> exact;    // what was asked for
  std::vector<Service> related;  // what has the word in it
  std::vector<Port> unassigned;
};

std::optional<PortClass> class_named(const std::string& name) {
  for (const auto one : {PortClass::system, PortClass::user, PortClass::dynamic})
    if (name == to_string(one)) return one;
  return std::nullopt;
}

// The well-known ones of a range, or all that have a name.
std::vector<Service> services_in(const PortRegistry& names, PortRange range, bool all) {
  auto services = names.within(range);
  if (!all) std::erase_if(services, [](const Service& service) { return !service.about; });
  return services;
}

Error unknown_name(const PortRegistry& names, const std::string& text, std::string_view name) {
  auto guesses = guard::guesses_for(names, name);
  if (guesses.empty()) guesses = "`drpf ports mail` finds words, `drpf ports 25` numbers, `drpf ports` shows the ranges";
  return not_found("no_service", fmt::format("no service is known by the name or word '{}'", text), std::move(guesses));
}

Result<Answers> answer(const PortRegistry& names, const std::string& text) {
  const auto query = registry::parse_port_query(text);
  if (!query) return fail(query.error());
  Answers answers;
  if (query->ports) {
    answers.exact = names.within(*query->ports);
    if (query->ports->size() <= single_ports_max) {
      for (std::uint32_t number = query->ports->first().value(); number <= query->ports->last().value(); ++number) {
        const Port port{static_cast<std::uint16_t>(number)};
        const auto has = [&](const Service& service) {
          return service.ports.contains(port) && (!query->transport || service.transport == *query->transport);
        };
        if (std::none_of(answers.exact.begin(), answers.exact.end(), has)) answers.unassigned.push_back(port);
      }
    }
  } else {
    answers.exact = names.named(query->text);
    answers.related = names.about(query->text);
    if (const auto meant = names.meant_by(query->text); !meant.empty()) {
      if (answers.related.empty()) return fail(unknown_name(names, text, query->text));
      terminal::remark(fmt::format("no service is called '{}'; the nearest is {}", query->text, meant));
      answers.exact = names.named(meant);
    }
    std::erase_if(answers.related, [&](const Service& service) {
      return std::any_of(answers.exact.begin(), answers.exact.end(),
                         [&](const Service& known) { return known.ports == service.ports && known.transport == service.transport; });
    });
  }
  const auto other_transport = [&](const Service& service) { return query->transport && service.transport != *query->transport; };
  std::erase_if(answers.exact, other_transport);
  std::erase_if(answers.related, other_transport);
  if (query->ports && answers.exact.empty() && answers.unassigned.empty())
    return fail(not_found("no_service", fmt::format("no service is known in {}", text), "a wider range has more"));
  if (!query->ports && answers.exact.empty() && answers.related.empty()) return fail(unknown_name(names, text, query->text));
  return answers;
}

std::string limited_table(const std::vector<terminal::PortAnswer>& answers, bool all) {
  const auto shown = all ? answers.size() : std::min(answers.size(), rows_shown_max);
  auto text = terminal::as_table(std::span(answers).first(shown));
  if (shown < answers.size()) text += fmt::format("and {} more: --all\n", answers.size() - shown);
  return text;
}

std::string show(const PortRegistry& names, const Answers& answers, bool all) {
  constexpr std::size_t cards_max = 8;
  const auto exact = terminal::gather(names, answers.exact);
  std::string text = exact.size() <= cards_max ? terminal::as_cards(exact) : limited_table(exact, all);
  text += terminal::as_unassigned(answers.unassigned);
  if (!answers.related.empty()) {
    if (!text.empty()) text += "\nalso:\n";
    text += limited_table(terminal::gather(names, answers.related), all);
  }
  return text;
}

std::string overview(const PortRegistry& names) {
  terminal::Table ranges({"RANGE", "PORTS", "REGISTERED", ""});
  for (const auto one : {PortClass::system, PortClass::user, PortClass::dynamic}) {
    const auto range = registry::range_of(one);
    std::size_t registered = 0;
    for (std::uint32_t port = range.first().value(); port <= range.last().value(); ++port)
      registered += registry::iana_rows_at(Port{static_cast<std::uint16_t>(port)}).empty() ? 0 : 1;
    ranges.add({{std::string(to_string(one))},
                {to_string(range)},
                {std::to_string(registered), terminal::Colour::plain, true},
                {std::string(meaning_of(one))}});
  }
  std::vector<Service> common;
  for (const int port : {21,   22,   23,   25,   53,   80,   110,  139,  143,  443,  445,   587,  993,
                         1080, 1194, 1720, 1723, 3306, 3389, 5060, 5900, 6881, 8080, 25565, 51820})
    for (const auto protocol : {registry::Transport::tcp, registry::Transport::udp})
      if (const auto service = names.find(Port{static_cast<std::uint16_t>(port)}, protocol); service && service->about)
        common.push_back(*service);
  return "A port number has 16 bits, 0 to 65535; the same number by TCP and by UDP is two ports.\n\n" +
         ranges.text(terminal::standard_output_has_colour()) + "\n" + terminal::as_table(terminal::gather(names, common)) +
         "\nAsk by number, range, name or word: drpf ports 1720, drpf ports 6881-6889, drpf ports pop3, drpf ports mail.\n"
         "drpf ports --range system|user|dynamic shows a range, --scan-list which ports a scan looks at.\n";
}

int print_scan_list(const PortsOptions& options) {
  if (options.top < 1 || options.top > registry::scan_count_max)
    return terminal::report(wrong_usage(fmt::format("--top {} is not possible", options.top), "give 1 to 65535"));
  const auto list = registry::scan_list(options.top, options.udp ? Protocol::udp : Protocol::tcp);
  if (options.json) {
    json::array out;
    for (const auto& one : list)
      out.push_back(json::object{{"port", one.port.value()},
                                 {"tier", static_cast<unsigned>(one.tier)},
                                 {"category", std::string(to_string(one.category))},
                                 {"reason", std::string(one.reason)}});
    return terminal::print(json::serialize(out) + "\n");
  }
  terminal::Table table({"PORT", "TIER", "CATEGORY", "REASON"});
  for (const auto& one : list)
    table.add({{to_string(one.port), terminal::Colour::plain, true},
               {std::to_string(static_cast<unsigned>(one.tier)), terminal::Colour::plain, true},
               {std::string(to_string(one.category))},
               {std::string(one.reason)}});
  return terminal::print(table.text(terminal::standard_output_has_colour()));
}

int print_range(const PortRegistry& names, const PortsOptions& options) {
  const auto port_class = *class_named(options.range);
  const auto range = registry::range_of(port_class);
  const auto services = services_in(names, range, options.all || options.json);
  if (options.json) return terminal::print(json::serialize(terminal::as_json(names, services)) + "\n");
  std::string text = fmt::format("{} ports, {}: {}.\n\n", to_string(port_class), to_string(range), meaning_of(port_class));
  text += terminal::as_table(terminal::gather(names, services));
  if (!options.all) text += "These are the ones whose risks drpf knows; --all shows every name, and what is found by habit.\n";
  return terminal::print(text);
}

int ports(const PortsOptions& options) {
  if (options.scan_list) return print_scan_list(options);
  const auto names = guard::port_names(options.services);
  if (!names) return terminal::report(names.error());
  if (options.mine) {
    const auto own = guard::find_own_ports();
    if (!own) return terminal::report(own.error());
    return terminal::print(options.json ? json::serialize(guard::as_json(*own, *names)) + "\n" : guard::as_text(*own, *names));
  }
  if (options.queries.empty() && !options.range.empty()) return print_range(*names, options);
  if (options.queries.empty()) {
    if (options.json)
      return terminal::print(json::serialize(terminal::as_json(*names, services_in(*names, PortRange(Port{0}, Port{65535}), options.all))) +
                             "\n");
    return terminal::print(overview(*names));
  }
  int code = terminal::exit_ok;
  std::string text;
  json::array out;
  for (const auto& query : options.queries) {
    auto found = answer(*names, query);
    if (found && !options.range.empty()) {
      const auto outside = [&](const Service& service) { return registry::class_of(service.ports.first()) != *class_named(options.range); };
      std::erase_if(found->exact, outside);
      std::erase_if(found->related, outside);
      std::erase_if(found->unassigned, [&](Port port) { return registry::class_of(port) != *class_named(options.range); });
      if (found->exact.empty() && found->related.empty() && found->unassigned.empty())
        found = fail(not_found("no_service", fmt::format("'{}' is not among the {} ports", query, options.range), "leave --range away"));
    }
    if (!found) {
      code = terminal::report(found.error());
      continue;
    }
    if (!text.empty()) text += "\n";
    text += show(*names, *found, options.all);
    for (const auto* services : {&found->exact, &found->related})
      for (auto& one : terminal::as_json(*names, *services)) out.push_back(std::move(one));
    for (const auto port : found->unassigned) out.push_back(terminal::unassigned_as_json(port));
  }
  if (const int printed = terminal::print(options.json ? json::serialize(out) + "\n" : text); printed != terminal::exit_ok) return printed;
  return code;
}

}  // namespace

void add_ports_command(CLI::App& root, CommandLine& line) {
  add_command<PortsOptions>(
      root, line, "ports", "Tell which service a port is for, and what to know before opening it", "drpf ports 1720 6881-6889 pop3 mail",
      [](CLI::App& command, PortsOptions& options) {
        command.add_option("query", options.queries, "A number, a range, a name or a word: 1720, 6881-6889, 53/udp, pop3, mail")
            ->type_name("QUERY...");
        command.add_option("--range", options.range, "Only ports of this range")
            ->type_name("system|user|dynamic")
            ->check(CLI::IsMember({"system", "user", "dynamic"}));
        auto* const mine = command.add_flag("--mine", options.mine, "What listens on this machine, and who can reach it by its own rules");
        command.add_flag("--all", options.all, "Show all that is found, and names of which no more is known");
        command
            .add_option("--services", options.services,
                        "A file in the form of services(5) that has the last word, or IANA's CSV; /etc/services is read anyway")
            ->type_name("FILE");
        auto* const scan_list = command.add_flag("--scan-list", options.scan_list,
                                                 "Print the ports that a scan looks at when it is not told, each with its reason");
        command.add_option("--top", options.top, "How many of them")->type_name("N")->capture_default_str()->needs(scan_list);
        command.add_flag("--udp", options.udp, "Those of UDP")->needs(scan_list);
        scan_list->excludes("--range")->excludes("--all")->excludes("query")->excludes(mine);
        mine->excludes("--range")->excludes("--all")->excludes("query");
        add_json_flag(command, options.json);
      },
      ports);
}

}  // namespace drpf::cli
