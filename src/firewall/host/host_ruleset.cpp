#include "firewall/host/host_ruleset.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"

namespace drpf::firewall {
namespace {

bool covers_ports(const HostRule& outer, const HostRule& inner) {
  if (!outer.has_ports()) return true;
  if (!inner.has_ports() || (inner.leased && !outer.leased)) return false;
  return std::all_of(inner.ports.begin(), inner.ports.end(), [&](const ServicePorts& one) {
    return std::any_of(outer.ports.begin(), outer.ports.end(), [&](const ServicePorts& wide) {
      return wide.protocol == one.protocol && wide.ports.contains(one.ports.first()) && wide.ports.contains(one.ports.last());
    });
  });
}

bool covers_prefixes(const std::vector<Prefix>& outer, const std::vector<Prefix>& inner) {
  if (outer.empty()) return true;
  return !inner.empty() && std::all_of(inner.begin(), inner.end(), [&](const Prefix& one) {
    return std::any_of(outer.begin(), outer.end(), [&](const Prefix& wide) { return wide.contains(one); });
  });
}

bool covers_interface(std::string_view outer, std::string_view inner) {
  if (outer.empty() || outer == inner) return true;
  return outer.ends_with('*') && inner.starts_with(outer.substr(0, outer.size() - 1));
}

bool meet_in_ports(const HostRule& a, const HostRule& b) {
  if (!a.has_ports() || !b.has_ports() || a.leased || b.leased) return true;
  return std::any_of(a.ports.begin(), a.ports.end(), [&](const ServicePorts& one) {
    return std::any_of(b.ports.begin(), b.ports.end(),
                       [&](const ServicePorts& other) { return one.protocol == other.protocol && one.ports.overlaps(other.ports); });
  });
}

bool meet_in_prefixes(const std::vector<Prefix>& a, const std::vector<Prefix>& b) {
  return a.empty() || b.empty() || std::any_of(a.begin(), a.end(), [&](const Prefix& one) {
           return std::any_of(b.begin(), b.end(), [&](const Prefix& other) { return one.overlaps(other); });
         });
}

bool fits_the_same(const HostRule& a, const HostRule& b) { return covers(a, b) && covers(b, a); }

std::string number_and_rule(std::size_t index, const HostRule& rule) { return fmt::format("rule {} ({})", index + 1, to_string(rule)); }

tl::unexpected<Error> bad_file(std::size_t line, std::string_view what) {
  return fail(
      invalid("firewall_file", fmt::format("line {}: {}", line, what), "correct the line, or write the file anew: drpf firewall export"));
}

}  // namespace

Result<HostRuleset> parse_host_ruleset(std::string_view text, const ServiceNames& names) {
  if (text.size() > host_rules_file_max)
    return fail(
        invalid("firewall_file", fmt::format("more than {} bytes", host_rules_file_max), "a rule may have several services and networks"));
  HostRuleset ruleset;
  bool versioned = false;
  std::size_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    if (line.empty() || line.starts_with('#')) continue;
    if (!versioned) {
      if (line != host_rules_version) return bad_file(number, fmt::format("the file does not begin with '{}'", host_rules_version));
      versioned = true;
    } else if (line == "on" || line == "off") {
      ruleset.on = line == "on";
    } else {
      auto rule = parse_host_rule(line, names);
      if (!rule) return bad_file(number, rule.error().message);
      if (ruleset.rules.size() == host_rules_max) return bad_file(number, fmt::format("more than {} rules", host_rules_max));
      ruleset.rules.push_back(std::move(*rule));
    }
  }
  if (!versioned) return bad_file(number + 1, "the file is empty, or cut off");
  return ruleset;
}

std::string to_string(const HostRuleset& ruleset) {
  std::string text = fmt::format("{}\n{}\n", host_rules_version, ruleset.on ? "on" : "off");
  for (const auto& rule : ruleset.rules) text += to_string(rule) + "\n";
  return text;
}

bool covers(const HostRule& outer, const HostRule& inner) {
  return outer.direction == inner.direction && covers_interface(outer.interface, inner.interface) && covers_ports(outer, inner) &&
         covers_prefixes(outer.from, inner.from) && covers_prefixes(outer.to, inner.to);
}

bool meet(const HostRule& a, const HostRule& b) {
  return a.direction == b.direction && (covers_interface(a.interface, b.interface) || covers_interface(b.interface, a.interface)) &&
         meet_in_ports(a, b) && meet_in_prefixes(a.from, b.from) && meet_in_prefixes(a.to, b.to);
}

Result<Placed> place(HostRuleset& ruleset, HostRule rule, std::optional<std::size_t> at) {
  auto& rules = ruleset.rules;
  Placed placed;
  if (at && (*at < 1 || *at > rules.size() + 1))
    return fail(not_found("no_such_rule", fmt::format("there is no place {} among {} rules", *at, rules.size()),
                          "see the numbers: drpf firewall rules"));
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (!fits_the_same(rules[i], rule)) continue;
    placed.number = i + 1;
    if (rules[i].treatment == rule.treatment && (rule.comment.empty() || rules[i].comment == rule.comment) && !at) {
      placed.changed = false;
      placed.remarks.push_back(fmt::format("{} says so already", number_and_rule(i, rules[i])));
      return placed;
    }
    if (at) continue;
    if (rules[i].treatment != rule.treatment)
      placed.remarks.push_back(fmt::format("it takes the place of {}", number_and_rule(i, rules[i])));
    rules[i] = std::move(rule);
    return placed;
  }
  if (rules.size() >= host_rules_max)
    return fail(refusal("too_many_rules", fmt::format("there are {} rules, and no more are possible", rules.size()),
                        "a rule may have several services and networks"));
  std::size_t index = at ? *at - 1 : rules.size();
  for (std::size_t i = 0; !at && i < rules.size(); ++i) {
    if (rules[i].treatment == rule.treatment) {
      if (!covers(rules[i], rule)) continue;
      placed.remarks.push_back(fmt::format("{} covers it already", number_and_rule(i, rules[i])));
      break;
    }
    if (!meet(rules[i], rule) || covers(rule, rules[i])) continue;
    placed.remarks.push_back(fmt::format("it stands before {}, and decides where both fit", number_and_rule(i, rules[i])));
    index = i;
    break;
  }
  rules.insert(rules.begin() + static_cast<std::ptrdiff_t>(index), std::move(rule));
  placed.number = index + 1;
  const auto& put = rules[index];
  for (std::size_t i = 0; at && i < index; ++i)
    if (covers(rules[i], put)) {
      placed.remarks.push_back(fmt::format("it never decides: {} comes first", number_and_rule(i, rules[i])));
      break;
    }
  for (std::size_t i = index + 1; i < rules.size(); ++i)
    if (rules[i].treatment != put.treatment && covers(put, rules[i]))
      placed.remarks.push_back(fmt::format("{} does not decide any more: this one comes first", number_and_rule(i, rules[i])));
  return placed;
}

Result<HostRule> remove_rule(HostRuleset& ruleset, std::size_t number) {
  if (number < 1 || number > ruleset.rules.size())
    return fail(not_found("no_such_rule", fmt::format("there is no rule {}: there are {}", number, ruleset.rules.size()),
                          "see the numbers: drpf firewall rules"));
  const auto at = ruleset.rules.begin() + static_cast<std::ptrdiff_t>(number - 1);
  auto rule = std::move(*at);
  ruleset.rules.erase(at);
  return rule;
}

Result<HostRule> remove_rule(HostRuleset& ruleset, const HostRule& rule) {
  for (std::size_t i = 0; i < ruleset.rules.size(); ++i)
    if (ruleset.rules[i].treatment == rule.treatment && fits_the_same(ruleset.rules[i], rule)) return remove_rule(ruleset, i + 1);
  return fail(
      not_found("no_such_rule", fmt::format("there is no rule '{}'", to_string(rule)), "see them with their numbers: drpf firewall rules"));
}

}  // namespace drpf::firewall
