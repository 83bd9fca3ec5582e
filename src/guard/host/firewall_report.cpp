#include "guard/host/firewall_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <map>
#include <set>

#include "api/json_text.h"
#include "guard/host/other_tables.h"
#include "guard/own_ports.h"
#include "system/process.h"
#include "terminal/terminal.h"

namespace drpf::guard {
namespace {

namespace json = boost::json;
using firewall::HostRule;
using firewall::HostRuleset;

constexpr Duration list_time_max = std::chrono::seconds(60);
constexpr std::size_t ends_said_max = 20;
constexpr std::int64_t refused_kept_s = 3600;

struct Count {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

std::uint64_t number_in(const json::value& value, std::string_view key) {
  const auto* object = value.if_object();
  const auto* found = object ? object->if_contains(key) : nullptr;
  boost::system::error_code error;
  return found && found->is_number() ? found->to_number<std::uint64_t>(error) : 0;
}

std::string word_in(const json::value& value, std::string_view key) {
  const auto* object = value.if_object();
  const auto* found = object ? object->if_contains(key) : nullptr;
  return found && found->is_string() ? std::string(found->get_string()) : std::string();
}

// What `nft -j` lists, without its wrapping.
Result<json::array> list_as_json(std::vector<std::string> what) {
  system::Command command;
  command.arguments = {"nft", "-j", "list"};
  command.arguments.insert(command.arguments.end(), what.begin(), what.end());
  const auto output = system::run(command, list_time_max);
  if (!output) return fail(output.error());
  if (output->exit_code != 0) return json::array{};
  boost::system::error_code error;
  auto value = json::parse(output->out, error);
  auto* object = error ? nullptr : value.if_object();
  auto* list = object ? object->if_contains("nftables") : nullptr;
  if (!list || !list->is_array()) return fail(failure("nft_failed", "what nft lists as JSON is not understood"));
  return std::move(list->get_array());
}

// By the rules' comments, which are their numbers.
std::map<std::string, Count> counters() {
  std::map<std::string, Count> out;
  const auto listed = list_as_json({"table", "inet", std::string(firewall::host_table)});
  if (!listed) return out;
  for (const auto& entry : *listed) {
    const auto* object = entry.if_object();
    const auto* rule = object ? object->if_contains("rule") : nullptr;
    const auto* expressions = rule && rule->is_object() ? rule->get_object().if_contains("expr") : nullptr;
    const auto name = rule ? word_in(*rule, "comment") : std::string();
    if (name.empty() || !expressions || !expressions->is_array() || word_in(*rule, "chain").ends_with("_before")) continue;
    for (const auto& one : expressions->get_array()) {
      const auto* statement = one.if_object();
      const auto* counter = statement ? statement->if_contains("counter") : nullptr;
      if (!counter) continue;
      out[name].packets += number_in(*counter, "packets");
      out[name].bytes += number_in(*counter, "bytes");
    }
  }
  return out;
}

json::array words(const auto& list) {
  json::array out;
  for (const auto& one : list) {
    if constexpr (std::is_convertible_v<decltype(one), std::string_view>)
      out.emplace_back(std::string_view(one));
    else
      out.emplace_back(to_string(one));
  }
  return out;
}

// Which program listens behind each port that a rule opens, and behind which nobody does.
void add_listeners(json::object& out, const HostRule& rule, const std::vector<firewall::ServicePorts>& ports,
                   const std::vector<OwnPort>& listening) {
  constexpr std::uint32_t ports_named_max = 64;
  json::array programs;
  std::set<std::pair<Protocol, Port>> answered;
  std::set<std::string> seen;
  for (const auto& one : listening) {
    if (one.local.address.is_loopback()) continue;
    const bool meant = std::any_of(ports.begin(), ports.end(), [&](const firewall::ServicePorts& range) {
      return range.protocol == one.protocol && range.ports.contains(one.local.port);
    });
    if (!meant && rule.has_ports()) continue;
    answered.emplace(one.protocol, one.local.port);
    const auto text =
        fmt::format("{} ({}/{})", one.program.empty() ? "?" : one.program, to_string(one.local.port), to_string(one.protocol));
    if (seen.insert(text).second) programs.emplace_back(text);
  }
  out["programs"] = std::move(programs);
  json::array nobody;
  for (const auto& range : ports) {
    if (range.ports.size() > ports_named_max) continue;
    for (auto number = range.ports.first().value();; ++number) {
      // A service that is opened by both protocols may have a listener on one.
      const Port port{number};
      const auto other = range.protocol == Protocol::tcp ? Protocol::udp : Protocol::tcp;
      if (!answered.contains({range.protocol, port}) && !answered.contains({other, port}))
        nobody.emplace_back(fmt::format("{}/{}", number, to_string(range.protocol)));
      if (number == range.ports.last().value()) break;
    }
  }
  out["nobody_listens"] = std::move(nobody);
}

json::object rule_as_json(const HostRuleset& ruleset, std::size_t index) {
  const auto& rule = ruleset.rules[index];
  json::object out;
  out["number"] = index + 1;
  out["text"] = to_string(rule);
  out["treatment"] = std::string(to_string(rule.treatment));
  out["direction"] = std::string(to_string(rule.direction));
  out["interface"] = rule.interface.empty() ? json::value(nullptr) : json::value(rule.interface);
  out["services"] = words(rule.services);
  auto ports = rule.ports;
  if (rule.leased) ports.insert(ports.end(), ruleset.leased.begin(), ruleset.leased.end());
  out["ports"] = words(firewall::merged(std::move(ports)));
  out["leased"] = rule.leased;
  out["from"] = words(rule.from);
  out["to"] = words(rule.to);
  out["comment"] = rule.comment;
  return out;
}

const json::array& list_in(const json::object& object, std::string_view key) {
  static const json::array none;
  const auto* found = object.if_contains(key);
  return found && found->is_array() ? found->get_array() : none;
}

std::string joined(const json::array& list) {
  std::string text;
  for (const auto& one : list)
    if (one.is_string()) text += (text.empty() ? "" : ", ") + std::string(one.get_string());
  return text;
}

}  // namespace

Result<json::object> firewall_status(const HostFirewall& firewall) {
  const auto kernel = firewall.kernel();
  if (!kernel) return fail(kernel.error());
  json::object out;
  json::array remarks;
  auto confirmed = firewall.confirmed();
  std::optional<HostRuleset> trial;
  if (confirmed) {
    const auto tried = firewall.on_trial();
    if (tried) trial = *tried;
    const auto back = firewall.taken_back();
    if (back && *back) remarks.emplace_back("the last change was not confirmed, and has been taken back");
  } else {
    remarks.emplace_back(confirmed.error().message);
  }
  const auto ruleset = trial ? *trial : confirmed ? *confirmed : HostRuleset{};
  out["on"] = ruleset.on || kernel->panic;
  out["in_kernel"] = kernel->there;
  out["panic"] = kernel->panic;
  out["trial_seconds_left"] = trial && kernel->trial_left ? json::value((kernel->trial_left->count() + 999) / 1000) : json::value(nullptr);
  if (confirmed && confirmed->on && !kernel->there)
    remarks.emplace_back("the rules are not in the kernel: somebody has removed them; put them back: drpf firewall on");

  const auto own = find_own_ports();
  const auto counted = counters();
  json::array rules;
  for (std::size_t i = 0; i < ruleset.rules.size(); ++i) {
    auto rule = rule_as_json(ruleset, i);
    const auto found = counted.find(std::to_string(i + 1));
    rule["packets"] = found == counted.end() ? json::value(nullptr) : json::value(found->second.packets);
    rule["bytes"] = found == counted.end() ? json::value(nullptr) : json::value(found->second.bytes);
    const auto& one = ruleset.rules[i];
    auto ports = one.ports;
    if (one.leased) ports.insert(ports.end(), ruleset.leased.begin(), ruleset.leased.end());
    if (own && one.direction == firewall::Direction::in &&
        (one.treatment == firewall::Treatment::allow || one.treatment == firewall::Treatment::limit))
      add_listeners(rule, one, firewall::merged(std::move(ports)), own->ports);
    rules.push_back(std::move(rule));
  }
  out["rules"] = std::move(rules);
  const auto refused = counted.find("default");
  out["refused_packets"] = refused == counted.end() ? 0 : refused->second.packets;

  json::array open;
  if (own)
    for (const auto& one : own->ports)
      for (const auto& way : one.ways)
        if (way.reach >= OwnPort::Reach::some)
          open.push_back(json::object{{"interface", way.interface},
                                      {"port", fmt::format("{}/{}", to_string(one.local.port), to_string(one.protocol))},
                                      {"address", to_string(one.local.address)},
                                      {"program", one.program},
                                      {"reachable_from", std::string(to_string(way.reach))}});
  out["open"] = std::move(open);

  json::array published;
  json::array others;
  system::Command command;
  command.arguments = {"nft", "list", "ruleset"};
  if (const auto listed = system::run(command, list_time_max); listed && listed->exit_code == 0) {
    const auto found = other_tables(listed->out);
    for (const auto& one : found.published) published.push_back(json::object{{"port", one.port}, {"to", one.to}, {"program", one.owner}});
    for (const auto& one : found.tables) others.push_back(json::object{{"program", one.program}, {"table", one.table}, {"says", one.says}});
  }
  out["published"] = std::move(published);
  out["others"] = std::move(others);
  out["remarks"] = std::move(remarks);
  return out;
}

std::string status_page(const json::object& status) {
  const bool colour = terminal::standard_output_has_colour();
  const bool on = status.at("on").as_bool();
  std::string text;
  if (status.at("panic").as_bool())
    text = "firewall: PANIC: nothing passes but the session that said so; the rules again: drpf firewall on\n";
  else if (!on)
    text = "firewall: off; everything may come in. Switch it on: drpf firewall on\n";
  else
    text = "firewall: on; what is not allowed does not come in, what is not denied goes out\n";
  if (const auto& left = status.at("trial_seconds_left"); !left.is_null())
    text += fmt::format("on trial: taken back in {} s unless you say: drpf firewall confirm\n", left.as_int64());
  for (const auto& remark : list_in(status, "remarks")) text += api::printable(remark.as_string()) + "\n";
  terminal::Table rules({"#", "RULE", "PACKETS", "BYTES", "PROGRAMS"});
  std::string notes;
  for (const auto& value : list_in(status, "rules")) {
    const auto& rule = value.as_object();
    const auto count = [&](std::string_view key) {
      return terminal::Cell{rule.at(key).is_null() ? "" : std::to_string(number_in(value, key)), terminal::Colour::plain, true};
    };
    rules.add({{std::to_string(number_in(value, "number")), terminal::Colour::plain, true},
               {word_in(value, "text")},
               count("packets"),
               count("bytes"),
               {joined(list_in(rule, "programs"))}});
    if (const auto nobody = joined(list_in(rule, "nobody_listens")); !nobody.empty())
      notes += fmt::format("  rule {}: nobody listens on {}\n", number_in(value, "number"), nobody);
  }
  if (!rules.empty()) text += "\n" + rules.text(colour);
  if (on) text += fmt::format("not allowed and refused: {} packets; by whom: drpf firewall log\n", number_in(status, "refused_packets"));
  terminal::Table open({"INTERFACE", "OPEN", "PROGRAM", "REACHABLE FROM"});
  for (const auto& one : list_in(status, "open"))
    open.add({{word_in(one, "interface")}, {word_in(one, "port")}, {word_in(one, "program")}, {word_in(one, "reachable_from")}});
  if (!open.empty()) text += "\n" + open.text(colour);
  for (const auto& one : list_in(status, "published"))
    notes += api::printable(fmt::format("  {} is led on to {} ({}), past the input chain", word_in(one, "port"), word_in(one, "to"),
                                        word_in(one, "program"))) +
             "\n";
  for (const auto& one : list_in(status, "others"))
    notes += api::printable(fmt::format("  {}, table {}: {}", word_in(one, "program"), word_in(one, "table"), word_in(one, "says"))) + "\n";
  return notes.empty() ? text : text + "\n" + notes;
}

Result<json::array> refused_lately(const HostFirewall& firewall) {
  json::array out;
  for (const auto set : {firewall::refused_set_v4, firewall::refused_set_v6}) {
    const auto listed = list_as_json({"set", "inet", std::string(firewall::host_table), std::string(set)});
    if (!listed) return fail(listed.error());
    for (const auto& entry : *listed) {
      const auto* object = entry.if_object();
      const auto* found = object ? object->if_contains("set") : nullptr;
      if (!found || !found->is_object()) continue;
      for (const auto& element : list_in(found->get_object(), "elem")) {
        const auto* whole = element.is_object() ? element.get_object().if_contains("elem") : nullptr;
        const auto* value = whole && whole->is_object() ? whole->get_object().if_contains("val") : nullptr;
        const auto* parts = value && value->is_object() ? value->get_object().if_contains("concat") : nullptr;
        if (!parts || !parts->is_array() || parts->get_array().size() != 3) continue;
        const auto& key = parts->get_array();
        const auto protocol = key[1].is_string() ? parse_protocol(key[1].get_string()) : fail(Error{});
        const auto port = key[2].is_int64() ? parse_port(std::to_string(key[2].get_int64())) : fail(Error{});
        if (!key[0].is_string() || !protocol || !port) continue;
        const auto* counter = whole->get_object().if_contains("counter");
        const auto left = static_cast<std::int64_t>(number_in(*whole, "expires"));
        out.push_back(json::object{{"source", key[0].get_string()},
                                   {"port", port->value()},
                                   {"protocol", std::string(to_string(*protocol))},
                                   {"service", std::string(firewall.names().registry().name_of(*port, *protocol))},
                                   {"packets", counter ? number_in(*counter, "packets") : 0},
                                   {"bytes", counter ? number_in(*counter, "bytes") : 0},
                                   {"seconds_ago", std::max<std::int64_t>(0, refused_kept_s - left)}});
      }
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const json::value& a, const json::value& b) { return number_in(a, "packets") > number_in(b, "packets"); });
  return out;
}

std::string refused_page(const json::array& refused) {
  if (refused.empty()) return "nothing was refused within the last hour\n";
  terminal::Table table({"SOURCE", "PORT", "SERVICE", "PACKETS", "LAST"});
  for (const auto& one : refused)
    table.add({{word_in(one, "source")},
               {fmt::format("{}/{}", number_in(one, "port"), word_in(one, "protocol"))},
               {word_in(one, "service")},
               {std::to_string(number_in(one, "packets")), terminal::Colour::plain, true},
               {fmt::format("{} s ago", number_in(one, "seconds_ago")), terminal::Colour::plain, true}});
  return table.text(terminal::standard_output_has_colour());
}

std::string rules_page(const HostRuleset& ruleset) {
  if (ruleset.rules.empty()) return "there are no rules: nothing comes in but answers, what is not denied goes out\n";
  terminal::Table table({"#", "RULE", "PORTS"});
  for (std::size_t i = 0; i < ruleset.rules.size(); ++i)
    table.add(
        {{std::to_string(i + 1), terminal::Colour::plain, true}, {to_string(ruleset.rules[i])}, {joined(words(ruleset.rules[i].ports))}});
  return table.text(terminal::standard_output_has_colour()) + "The first rule that fits decides.\n";
}

std::vector<std::string> connections_that_end(const HostRuleset& now, const HostRuleset& next,
                                              const std::vector<firewall::HostPacket>& open) {
  const auto lets = [](const HostRuleset& ruleset, const firewall::HostPacket& packet) {
    const auto treatment = judge(ruleset, packet).treatment;
    return treatment == firewall::Treatment::allow || treatment == firewall::Treatment::limit;
  };
  std::vector<std::string> out;
  std::size_t more = 0;
  for (const auto& one : open) {
    if (!lets(now, one) || lets(next, one)) continue;
    if (out.size() == ends_said_max) {
      ++more;
      continue;
    }
    out.push_back(fmt::format("{} -> {} ({})", to_string(Endpoint{one.source, one.source_port}),
                              to_string(Endpoint{one.destination, one.destination_port}), to_string(judge(next, one), next)));
  }
  if (more > 0) out.push_back(fmt::format("and {} more", more));
  return out;
}

}  // namespace drpf::guard
