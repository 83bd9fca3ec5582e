#include "firewall/foreign_rules.h"

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include "core/text.h"
#include "firewall/nft_listing.h"
#include "firewall/rule_judge.h"

namespace drpf::firewall {
namespace {

using Effect = ForeignRule::Effect;
using Who = Admission::Who;

// Where our own translations are asked (gateway_ruleset.cpp): one before the usual places.
constexpr int own_dnat_priority = -101;
constexpr int own_snat_priority = 99;

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

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

std::string word_after(const std::vector<std::string>& words, std::string_view keyword) {
  const auto at = std::find(words.begin(), words.end(), keyword);
  return at == words.end() || at + 1 == words.end() ? std::string() : at[1];
}

void add_jumps(std::string_view text, std::vector<std::string>& targets) {
  const auto words = words_of(text);
  for (std::size_t i = 0; i + 1 < words.size(); ++i)
    if (words[i] == "jump" || words[i] == "goto") targets.push_back(words[i + 1]);
}

// By its rules, and by the verdict maps that they name.
std::vector<std::string> jumps_of(const NftListing& listing, const ListedChain& chain) {
  std::vector<std::string> targets;
  for (const auto& rule : chain.rules) {
    add_jumps(rule.text, targets);
    if (const auto map = word_after(words_of(rule.text), "vmap"); map.starts_with('@'))
      if (const auto* const set = listing.set(chain.table, map.substr(1))) add_jumps(set->elements, targets);
  }
  return targets;
}

// The chain and those that it leads to.
std::vector<const ListedChain*> reached_from(const NftListing& listing, const ListedChain& start) {
  std::vector<const ListedChain*> reached{&start};
  for (std::size_t i = 0; i < reached.size(); ++i)
    for (const auto& target : jumps_of(listing, *reached[i]))
      if (const auto* const chain = listing.chain(start.table, target);
          chain && std::find(reached.begin(), reached.end(), chain) == reached.end())
        reached.push_back(chain);
  return reached;
}

std::string_view owner_by_name(std::string_view name) {
  if (contains(name, "firewalld")) return "firewalld";
  if (contains(name, "DOCKER") || contains(name, "docker")) return "docker";
  if (contains(name, "ufw-") || contains(name, "ufw6-")) return "ufw";
  return {};
}

// Docker and ufw put their chains into tables that they share with others: whose a base chain is tells where it leads, the first first.
std::string owner_of(const std::vector<const ListedChain*>& reached) {
  if (const auto owner = owner_by_name(reached.front()->table); !owner.empty()) return std::string(owner);
  for (const auto* const chain : reached)
    if (const auto owner = owner_by_name(chain->name); !owner.empty()) return std::string(owner);
  return "unknown";
}

bool names(const std::string& pattern, const std::string& interface) {
  return pattern.ends_with('*') ? interface.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1)) : pattern == interface;
}

// One base chain of another program, with all that it leads to.
class ForeignChainJudge {
 public:
  ForeignChainJudge(const NftListing& listing, const ListedChain& base, const RulesetView& view, std::vector<ForeignRule>& found)
      : listing_(listing), base_(base), view_(view), found_(found), reached_(reached_from(listing, base)), owner_(owner_of(reached_)) {}

  void judge() {
    judge_passage();
    for (const auto* const chain : reached_)
      for (const auto& rule : chain->rules) judge_rule(*chain, rule);
  }

 private:
  void add(Effect effect, const ListedChain& chain, const ListedRule& rule, bool before_ours = false) {
    const auto same = [&](const ForeignRule& one) {
      return one.table == chain.table && one.chain == chain.name && one.text == rule.text && one.handle == rule.handle;
    };
    if (const auto at = std::find_if(found_.begin(), found_.end(), same); at != found_.end()) {  // by two hooks
      if (at->effect == effect) at->before_ours = at->before_ours || before_ours;
      return;
    }
    found_.push_back({effect, before_ours, chain.table, chain.name, owner_, rule.text, rule.handle});
  }

  // What becomes of each kind of our packets, the worst over both families.
  void judge_passage() {
    const ListedChain* const chains[] = {&base_};
    std::map<OurPacket::Kind, Admission> worst;
    for (const auto& [kind, packet] : packets_at(base_, view_)) {
      auto admission = firewall::judge(listing_, chains, packet);
      if (admission.who == Who::everybody) continue;
      const auto [at, is_new] = worst.try_emplace(kind, admission);
      if (!is_new && gravity(admission.who) > gravity(at->second.who)) at->second = std::move(admission);
    }
    std::map<Who, ForeignRule> by_end;
    for (const auto& [kind, admission] : worst) {
      auto& rule = by_end[admission.who];
      if (rule.packets.empty()) rule = found_in(admission);
      rule.packets.insert(kind);
    }
    for (auto& [who, rule] : by_end) found_.push_back(std::move(rule));
  }

  static int gravity(Who who) { return who == Who::nobody ? 3 : who == Who::some ? 2 : who == Who::unknown ? 1 : 0; }

  // The rule that is named by "table chain: rule".
  ForeignRule found_in(const Admission& admission) const {
    ForeignRule rule{Effect::drops_all, false, base_.table, base_.name, owner_, admission.because, {}, base_.name, base_.hook, {}};
    if (admission.who == Who::some) rule.effect = Effect::drops_some;
    if (admission.who == Who::unknown) rule.effect = Effect::undecided;
    for (const auto* const chain : reached_) {
      const auto prefix = chain->table + " " + chain->name + ": ";
      if (!admission.because.starts_with(prefix)) continue;
      rule.chain = chain->name;
      rule.text = admission.because.substr(prefix.size());
      for (const auto& listed : chain->rules)
        if (listed.text == rule.text && rule.handle.empty()) rule.handle = listed.handle;
    }
    return rule;
  }

  void judge_rule(const ListedChain& chain, const ListedRule& listed) {
    const auto& rule = listed.text;
    const auto words = words_of(rule);
    if (contains(rule, "flow add @") || contains(rule, "flow offload @")) {
      if (!spares(words, {view_.tunnel_interface}, true)) add(Effect::offloads, chain, listed);
      return;
    }
    if (rewrites_source(rule) && !spares(words, {view_.tunnel_interface}, false)) {
      add(Effect::rewrites_source, chain, listed, base_.hook == "postrouting" && base_.priority <= own_snat_priority);
      return;
    }
    auto ours = view_.public_interfaces;
    ours.push_back(view_.tunnel_interface);
    if (spares(words, ours, true)) return;
    const bool comes_in = base_.hook == "prerouting";
    if ((contains(rule, "dnat ") || contains(rule, "redirect")) && comes_in) {
      if (meets_pool(words)) add(Effect::redirects_visitors, chain, listed, base_.priority <= own_dnat_priority);
    } else if (contains(rule, "notrack") && comes_in) {
      add(Effect::untracks, chain, listed);
    } else if (contains(rule, "ct mark set") && (comes_in || base_.hook == "forward")) {
      add(Effect::marks_connections, chain, listed);
    } else if (contains(rule, "mark set") && !contains(rule, "mark set meta mark") && !contains(rule, "mark set mark") && comes_in) {
      add(Effect::marks_packets, chain, listed);
    }
  }

  static bool rewrites_source(std::string_view rule) {
    return contains(rule, "masquerade") || contains(rule, "snat to") || contains(rule, "snat ip") ||
           contains(rule, "xt target \"MASQUERADE\"") || contains(rule, "xt target \"SNAT\"");
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

  const NftListing& listing_;
  const ListedChain& base_;
  const RulesetView& view_;
  std::vector<ForeignRule>& found_;
  std::vector<const ListedChain*> reached_;
  std::string owner_;
};

std::string names_of(const std::set<OurPacket::Kind>& packets) {
  std::string out;
  for (const auto kind : packets) out += (out.empty() ? "" : "; ") + std::string(name_of(kind));
  return out;
}

}  // namespace

std::vector<ForeignRule> find_foreign_rules(std::string_view nft_ruleset, const RulesetView& view) {
  std::vector<ForeignRule> found;
  const auto listing = parse_nft_listing(nft_ruleset);
  for (const auto& chain : listing.chains)
    if (chain.table != view.own_table && !chain.hook.empty()) ForeignChainJudge(listing, chain, view, found).judge();
  return found;
}

bool has_own_table(std::string_view nft_ruleset, const RulesetView& view) {
  return contains(nft_ruleset, "table " + view.own_table + " {");
}

std::string explain(const ForeignRule& rule) {
  switch (rule.effect) {
    case Effect::drops_all:
      return "lets none of these through (" + names_of(rule.packets) + ")";
    case Effect::drops_some:
      return "lets only some of these through (" + names_of(rule.packets) + ")";
    case Effect::undecided:
      return "may or may not let these through, which this program cannot decide (" + names_of(rule.packets) + ")";
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
    case Effect::drops_all:
    case Effect::marks_connections:
    case Effect::untracks:
    case Effect::offloads:
      return true;
    case Effect::rewrites_source:
    case Effect::redirects_visitors:
      return rule.before_ours;
    case Effect::drops_some:
    case Effect::undecided:
    case Effect::marks_packets:
      return false;
  }
  return false;
}

std::string owner_by_names(std::span<const std::string> names) {
  for (const auto& name : names)
    if (const auto owner = owner_by_name(name); !owner.empty()) return std::string(owner);
  return {};
}

}  // namespace drpf::firewall
