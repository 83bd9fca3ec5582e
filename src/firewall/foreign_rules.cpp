#include "firewall/foreign_rules.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "core/text.h"

namespace drpf::firewall {
namespace {

using Effect = ForeignRule::Effect;

// Where our own translations are asked (gateway_ruleset.cpp): one before the usual places.
constexpr int own_dnat_priority = -101;
constexpr int own_snat_priority = 99;

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// "table ip filter {" -> "ip filter"
std::optional<std::string> name_after(std::string_view line, std::string_view keyword) {
  if (!line.starts_with(keyword) || !line.ends_with("{")) return std::nullopt;
  auto name = std::string(trimmed(line.substr(keyword.size(), line.size() - keyword.size() - 1)));
  if (name.empty()) return std::nullopt;
  return name;
}

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  std::istringstream stream{std::string(line)};
  stream.exceptions(std::ios::badbit);  // memory that runs out is no end of the text
  for (std::string word; stream >> word;) {
    std::erase_if(word, [](char c) { return c == '"' || c == ',' || c == ';'; });
    if (!word.empty()) words.push_back(std::move(word));
  }
  return words;
}

// The values that stand after a selector: one, or those in braces. Empty where the rule does not have it, or has it with "!=".
std::vector<std::string> values_after(const std::vector<std::string>& words, std::string_view selector) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] != selector || words[i + 1] == "!=") continue;
    if (words[i + 1] != "{") return {words[i + 1]};
    for (i += 2; i < words.size() && words[i] != "}"; ++i) values.push_back(words[i]);
    return values;
  }
  return values;
}

std::optional<PortRange> ports_of(std::string_view text) {
  if (const auto range = parse_port_range(text)) return *range;
  return std::nullopt;
}

struct Hook {
  std::string type;  // "filter", "nat", "route"
  std::string place;
  int priority = 0;
  auto operator<=>(const Hook&) const = default;
};

struct ForeignChain {
  std::optional<Hook> hook;  // of a base chain
  bool drops = false;        // by policy
  std::string head;
  std::vector<std::string> rules;
  std::vector<std::string> handles;  // of the rules; empty where the listing does not name them
};

struct Table {
  std::string name;
  std::string text;
  std::map<std::string, ForeignChain> chains;
};

// "filter", "srcnat + 5", "-160": nft(8) prints names where it has them.
int priority_of(const std::vector<std::string>& words) {
  static constexpr std::pair<std::string_view, int> names[] = {{"raw", -300}, {"mangle", -150}, {"dstnat", -100},
                                                               {"filter", 0}, {"security", 50}, {"srcnat", 100}};
  const auto at = std::find(words.begin(), words.end(), "priority");
  if (at == words.end() || at + 1 == words.end()) return 0;
  const auto number = [](const std::string& word) {
    int value = 0;
    std::from_chars(word.data(), word.data() + word.size(), value);
    return value;
  };
  int base = number(at[1]);
  for (const auto& [name, value] : names)
    if (at[1] == name) base = value;
  if (words.end() - at > 3 && at[2] == "+") base += number(at[3]);
  if (words.end() - at > 3 && at[2] == "-") base -= number(at[3]);
  return base;
}

std::string word_after(const std::vector<std::string>& words, std::string_view keyword) {
  const auto at = std::find(words.begin(), words.end(), keyword);
  return at == words.end() || at + 1 == words.end() ? std::string() : at[1];
}

// What nft(8) adds behind a line: "# handle 7" with -a, "# progname firewalld" to a table that is kept for a program.
std::pair<std::string, std::string> without_handle(std::string line) {
  constexpr std::string_view mark = " # handle ";
  std::string handle;
  if (const auto at = line.rfind(mark); at != std::string::npos) {
    handle = line.substr(at + mark.size());
    line.erase(at);
  }
  if (const auto at = line.find("{ # "); at != std::string::npos) line.erase(at + 1);
  return {std::move(line), std::move(handle)};
}

std::vector<Table> parse_tables(std::string_view text) {
  std::vector<Table> tables;
  std::istringstream lines{std::string(text)};
  lines.exceptions(std::ios::badbit);  // memory that runs out is no end of the text
  ForeignChain* chain = nullptr;
  bool in_table = false;
  for (std::string raw; std::getline(lines, raw);) {
    const auto [line, handle] = without_handle(std::string(trimmed(raw)));
    if (const auto name = name_after(line, "table ")) {
      tables.push_back({*name, {}, {}});
      chain = nullptr;
      in_table = true;
      continue;
    }
    if (!in_table) continue;
    auto& table = tables.back();
    table.text += line + "\n";
    if (raw == "}") {
      in_table = false;
    } else if (line == "}") {
      chain = nullptr;
    } else if (const auto chain_name = name_after(line, "chain ")) {
      chain = &table.chains[*chain_name];
    } else if (chain != nullptr && line.starts_with("type ")) {
      const auto words = words_of(line);
      chain->hook = Hook{word_after(words, "type"), word_after(words, "hook"), priority_of(words)};
      chain->drops = contains(line, "policy drop");
      chain->head = line;
    } else if (chain != nullptr) {
      chain->rules.push_back(line);
      chain->handles.push_back(handle);
    }
  }
  return tables;
}

// A chain that is jumped to stands at the hooks of those that jump.
std::map<std::string, std::set<Hook>> hooks_of(const Table& table) {
  std::map<std::string, std::set<Hook>> hooks;
  for (const auto& [name, chain] : table.chains)
    if (chain.hook) hooks[name].insert(*chain.hook);
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [name, chain] : table.chains)
      for (const auto& rule : chain.rules) {
        const auto words = words_of(rule);
        for (const char* verb : {"jump", "goto"}) {
          const auto target = word_after(words, verb);
          if (target.empty()) continue;
          auto& there = hooks[target];
          const auto before = there.size();
          const auto here = hooks[name];
          there.insert(here.begin(), here.end());
          changed = changed || there.size() != before;
        }
      }
  }
  return hooks;
}

std::set<std::string> reached_from(const Table& table, const std::string& start) {
  std::set<std::string> reached{start};
  for (std::vector<std::string> open{start}; !open.empty();) {
    const auto name = open.back();
    open.pop_back();
    const auto chain = table.chains.find(name);
    if (chain == table.chains.end()) continue;
    for (const auto& rule : chain->second.rules)
      for (const char* verb : {"jump", "goto"})
        if (const auto target = word_after(words_of(rule), verb); !target.empty() && reached.insert(target).second) open.push_back(target);
  }
  return reached;
}

std::string owner_of(std::string_view table_text, std::string_view table) {
  if (contains(table, "firewalld")) return "firewalld";
  if (contains(table_text, "DOCKER")) return "docker";
  if (contains(table_text, "ufw-")) return "ufw";
  return "unknown";
}

bool names(const std::string& pattern, const std::string& interface) {
  return pattern.ends_with('*') ? interface.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1)) : pattern == interface;
}

class TableJudge {
 public:
  TableJudge(const Table& table, const RulesetView& view, std::vector<ForeignRule>& found)
      : table_(table), view_(view), found_(found), owner_(owner_of(table.text, table.name)) {}

  void judge() {
    const auto hooks = hooks_of(table_);
    for (const auto& [name, chain] : table_.chains) {
      if (chain.drops && chain.hook) judge_policy(name, chain);
      const auto at = hooks.find(name);
      if (at == hooks.end()) continue;  // nobody asks it
      for (std::size_t i = 0; i < chain.rules.size(); ++i) {
        const auto before = found_.size();
        judge_rule(name, chain.rules[i], at->second);
        for (auto added = before; added < found_.size(); ++added) found_[added].handle = chain.handles[i];
      }
    }
  }

 private:
  void add(Effect effect, const std::string& chain, const std::string& text, bool before_ours = false) {
    found_.push_back({effect, before_ours, table_.name, chain, owner_, text, {}});
  }

  void judge_policy(const std::string& name, const ForeignChain& chain) {
    const auto reached = reached_from(table_, name);
    const auto accepts = [&](const auto& fits) {
      return std::any_of(reached.begin(), reached.end(), [&](const std::string& one) {
        const auto found = table_.chains.find(one);
        return found != table_.chains.end() && std::any_of(found->second.rules.begin(), found->second.rules.end(), fits);
      });
    };
    // Without another condition than the interface.
    const auto all_by = [&](const char* selector) {
      return accepts([&](const std::string& rule) {
        const auto words = words_of(rule);
        if (!contains(rule, " accept") && !contains(rule, "_trusted")) return false;
        if (contains(rule, "saddr") || contains(rule, "daddr") || contains(rule, "dport") || contains(rule, "sport") ||
            contains(rule, "ct state"))
          return false;
        return names_any(values_after(words, selector), {view_.tunnel_interface});
      });
    };
    if (chain.hook->place == "forward" && !(all_by("iifname") && all_by("oifname"))) add(Effect::drops_forwarded, name, chain.head);
    if (chain.hook->place == "input") {
      const bool handshakes = accepts([&](const std::string& rule) {
        if (!contains(rule, "udp dport") || !contains(rule, "accept") || contains(rule, "saddr")) return false;
        const auto values = values_after(words_of(rule), "dport");
        return std::any_of(values.begin(), values.end(), [&](const std::string& value) {
          const auto ports = ports_of(value);
          return ports && ports->contains(view_.wireguard_port);
        });
      });
      if (!handshakes || !all_by("iifname")) add(Effect::drops_input, name, chain.head);
    }
  }

  void judge_rule(const std::string& chain, const std::string& rule, const std::set<Hook>& hooks) {
    const auto words = words_of(rule);
    const auto at = [&](std::string_view place, std::string_view type = {}) {
      return std::find_if(hooks.begin(), hooks.end(),
                          [&](const Hook& hook) { return hook.place == place && (type.empty() || hook.type == type); });
    };
    const auto none = hooks.end();
    if (contains(rule, "flow add @") || contains(rule, "flow offload @")) {
      if (!spares(words, {view_.tunnel_interface}, true)) add(Effect::offloads, chain, rule);
      return;
    }
    if (rewrites_source(rule) && !spares(words, {view_.tunnel_interface}, false)) {
      const auto where = at("postrouting");
      add(Effect::rewrites_source, chain, rule, where != none && where->priority <= own_snat_priority);
      return;
    }
    auto ours = view_.public_interfaces;
    ours.push_back(view_.tunnel_interface);
    if (spares(words, ours, true)) return;
    const bool on_the_way = at("forward") != none || at("prerouting") != none;
    if ((contains(rule, "dnat ") || contains(rule, "redirect")) && at("prerouting") != none) {
      if (meets_pool(words)) add(Effect::redirects_visitors, chain, rule, at("prerouting")->priority <= own_dnat_priority);
    } else if (contains(rule, "notrack") && at("prerouting") != none) {
      add(Effect::untracks, chain, rule);
    } else if (contains(rule, "ct mark set") && on_the_way) {
      add(Effect::marks_connections, chain, rule);
    } else if (contains(rule, "mark set") && !contains(rule, "mark set meta mark") && !contains(rule, "mark set mark") &&
               at("prerouting") != none) {
      add(Effect::marks_packets, chain, rule);
    } else if (drops(words) && on_the_way && !contains(rule, "ct state invalid") && !contains(rule, "fib saddr")) {
      add(Effect::drops_some, chain, rule);
    }
  }

  static bool rewrites_source(std::string_view rule) {
    return contains(rule, "masquerade") || contains(rule, "snat to") || contains(rule, "snat ip") ||
           contains(rule, "xt target \"MASQUERADE\"") || contains(rule, "xt target \"SNAT\"");
  }

  static bool drops(const std::vector<std::string>& words) {
    return std::any_of(words.begin(), words.end(), [](const std::string& word) { return word == "drop" || word == "reject"; });
  }

  bool meets_pool(const std::vector<std::string>& words) const {
    const auto values = values_after(words, "dport");
    if (values.empty()) return true;
    return std::any_of(values.begin(), values.end(), [&](const std::string& value) {
      const auto ports = ports_of(value);
      if (!ports) return true;  // a named set: it may
      const bool kept_out = std::any_of(view_.reserved.begin(), view_.reserved.end(),
                                        [&](PortRange range) { return range.contains(ports->first()) && range.contains(ports->last()); });
      return !kept_out && ports->overlaps(view_.pool);
    });
  }

  static bool names_any(const std::vector<std::string>& patterns, const std::vector<std::string>& interfaces) {
    return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
      return std::any_of(interfaces.begin(), interfaces.end(), [&](const std::string& interface) { return names(pattern, interface); });
    });
  }

  // A rule that is limited to interfaces or networks that are not ours cannot touch our traffic. `both_ways`: by where a packet goes, too.
  bool spares(const std::vector<std::string>& words, const std::vector<std::string>& interfaces, bool both_ways) const {
    const auto elsewhere = [&](std::string_view selector, bool public_counts) {
      const auto values = values_after(words, selector);
      if (values.empty()) return false;
      return std::none_of(values.begin(), values.end(), [&](const std::string& value) {
        const auto prefix = parse_prefix(value);
        if (!prefix) return true;  // a range, a name, "@set": it may be ours
        return std::any_of(view_.tunnel_prefixes.begin(), view_.tunnel_prefixes.end(),
                           [&](const Prefix& own) { return own.overlaps(*prefix); }) ||
               (public_counts && prefix->length() == prefix->address().bits());
      });
    };
    if (const auto in = values_after(words, "iifname"); !in.empty() && !names_any(in, interfaces)) return true;
    if (elsewhere("saddr", false)) return true;
    if (!both_ways) return false;
    if (const auto out = values_after(words, "oifname"); !out.empty() && !names_any(out, interfaces)) return true;
    return elsewhere("daddr", true);
  }

  const Table& table_;
  const RulesetView& view_;
  std::vector<ForeignRule>& found_;
  std::string owner_;
};

}  // namespace

std::vector<ForeignRule> find_foreign_rules(std::string_view nft_ruleset, const RulesetView& view) {
  std::vector<ForeignRule> found;
  for (const auto& table : parse_tables(nft_ruleset))
    if (table.name != view.own_table) TableJudge(table, view, found).judge();
  return found;
}

bool has_own_table(std::string_view nft_ruleset, const RulesetView& view) {
  return contains(nft_ruleset, "table " + view.own_table + " {");
}

std::string explain(const ForeignRule& rule) {
  switch (rule.effect) {
    case Effect::drops_forwarded:
      return "drops forwarded packets unless it is told to let them pass, so leases would not be reached";
    case Effect::drops_input:
      return "drops incoming packets unless it is told to let them pass, so devices may not be able to connect";
    case Effect::drops_some:
      return "drops some packets that may be visitors' or devices'";
    case Effect::rewrites_source:
      return rule.before_ours ? "may give tunnel traffic source ports that belong to services or to other devices' leases (Port Shadow)"
                              : "would give tunnel traffic any source port (Port Shadow) if it were not asked after drpf's own translation";
    case Effect::redirects_visitors:
      return rule.before_ours ? "takes visitors of leased ports elsewhere"
                              : "uses ports of the pool: it loses its visitors as soon as such a port is leased";
    case Effect::marks_connections:
      return "sets the connection mark, by which drpf tells leases apart: a lease that has ended could go on, and others stop";
    case Effect::marks_packets:
      return "sets the packet mark and may wipe out the sign that drpf's rules have seen the packet: then it is not forwarded";
    case Effect::untracks:
      return "keeps packets from connection tracking, so that they are neither redirected nor checked";
    case Effect::offloads:
      return "hands connections to a flowtable, past the check that ends them with their lease";
  }
  return {};
}

bool is_grave(const ForeignRule& rule) {
  switch (rule.effect) {
    case Effect::drops_forwarded:
    case Effect::marks_connections:
    case Effect::untracks:
    case Effect::offloads:
      return true;
    case Effect::rewrites_source:
    case Effect::redirects_visitors:
      return rule.before_ours;
    case Effect::drops_input:
    case Effect::drops_some:
    case Effect::marks_packets:
      return false;
  }
  return false;
}

std::string cure_for(const ForeignRule& rule, const RulesetView& view) {
  const auto& tunnel = view.tunnel_interface;
  const auto where = "table " + rule.table + ", chain " + rule.chain;
  const auto take_out = "take the rule out: nft delete rule " + rule.table + " " + rule.chain + " handle " +
                        (rule.handle.empty() ? "N (`nft -a list chain " + rule.table + " " + rule.chain + "` shows it)" : rule.handle);
  switch (rule.effect) {
    case Effect::drops_forwarded:
      if (rule.owner == "docker")
        return "let Docker's chain pass the tunnel: iptables -I DOCKER-USER -i " + tunnel + " -j ACCEPT; iptables -I DOCKER-USER -o " +
               tunnel + " -j ACCEPT";
      if (rule.owner == "ufw") return "ufw route allow in on " + tunnel + "; ufw route allow out on " + tunnel;
      if (rule.owner == "firewalld")
        return "firewall-cmd --permanent --zone=trusted --add-interface=" + tunnel + " && firewall-cmd --reload";
      return "accept packets from and to " + tunnel + " in " + where + ": nft insert rule " + rule.table + " " + rule.chain + " iifname " +
             tunnel + " accept; nft insert rule " + rule.table + " " + rule.chain + " oifname " + tunnel + " accept";
    case Effect::drops_input:
      if (rule.owner == "ufw") return "ufw allow " + to_string(view.wireguard_port) + "/udp; ufw allow in on " + tunnel;
      if (rule.owner == "firewalld")
        return "firewall-cmd --permanent --add-port=" + to_string(view.wireguard_port) +
               "/udp && firewall-cmd --permanent --zone=trusted " + "--add-interface=" + tunnel + " && firewall-cmd --reload";
      return "accept udp port " + to_string(view.wireguard_port) + " and everything from " + tunnel + " in " + where +
             ": nft insert rule " + rule.table + " " + rule.chain + " udp dport " + to_string(view.wireguard_port) +
             " accept; nft insert rule " + rule.table + " " + rule.chain + " iifname " + tunnel + " accept";
    case Effect::drops_some:
      return "make sure that it is meant for others, and limit it to their interfaces or networks; or " + take_out;
    case Effect::rewrites_source:
      return "drpf translates its tunnels' addresses itself: limit that rule to its own networks (for example "
             "`ip saddr 172.17.0.0/16`), or " +
             take_out;
    case Effect::redirects_visitors:
      return "use a port outside the pool " + to_string(view.pool) + " there, or keep the port from being leased ([ports] reserved), or " +
             take_out;
    case Effect::marks_connections:
    case Effect::marks_packets:
      return "limit that rule to its own interfaces or networks, or " + take_out;
    case Effect::untracks:
    case Effect::offloads:
      return "limit that rule to other interfaces than " + tunnel + " and the public one, or " + take_out;
  }
  return {};
}

std::string owner_by_names(std::span<const std::string> names) {
  std::string all;
  for (const auto& name : names) all += name + " ";
  const auto owner = owner_of(all, all);
  return owner == "unknown" ? std::string() : owner;
}

}  // namespace drpf::firewall
