#include "firewall/admission.h"

#include <algorithm>
#include <array>
#include <utility>

#include "firewall/rule_words.h"

namespace drpf::firewall {
namespace {

using Who = Admission::Who;

constexpr int jump_depth_max = 16;
constexpr int rules_judged_max = 20'000;  // jumps can multiply them

// Does the packet meet a condition? `sometimes`: for some visitors; `unknown`: this program cannot tell.
enum class Met : std::uint8_t { never, always, sometimes, unknown };

Met both(Met a, Met b) {
  if (a == Met::never || b == Met::never) return Met::never;
  if (a == Met::unknown || b == Met::unknown) return Met::unknown;
  return a == Met::always ? b : a;
}

Met opposite(Met met) { return met == Met::never ? Met::always : met == Met::always ? Met::never : met; }

// What may become of the packet in a chain, over all visitors.
struct Fate {
  bool accepted = false;
  bool dropped = false;
  bool falls_through = true;
  std::string keeps_out;  // the first rule or policy that drops
  std::string narrows;    // the first rule by which it depends on the visitor
  std::string riddle;     // the first rule that cannot be judged, and that matters
};

struct Verdict {
  enum class Kind : std::uint8_t { none, accept, drop, jump, go_to, leave, riddle };
  Kind kind = Kind::none;
  std::string target = {};
};

// `stranger`: his address and port are in no list. `all`: strangers and the listed.
enum class Visitor : std::uint8_t { stranger, all };

class Judge {
 public:
  Judge(const std::vector<InputRules::Chain>& chains, const std::vector<InputRules::NamedSet>& sets, const Visit& visit, Visitor visitor)
      : chains_(chains), sets_(sets), visit_(visit), visitor_(visitor) {}

  Fate walk(const InputRules::Chain& chain, int depth = 0) {
    Fate fate;
    for (const auto& rule : chain.rules) {
      if (++rules_judged_ > rules_judged_max) {
        fate.riddle = "more rules than this program follows";
        fate.accepted = fate.dropped = true;
        return fate;
      }
      if (rule.starts_with('#')) continue;
      RuleWords words(rule);
      Met met = Met::always;
      Verdict verdict;
      while (!words.at_end() && verdict.kind == Verdict::Kind::none && met != Met::never) met = both(met, step(chain, words, verdict));
      const auto text = chain.table + " " + chain.name + ": " + rule;
      if (met == Met::never || verdict.kind == Verdict::Kind::none) continue;
      if (verdict.kind == Verdict::Kind::riddle) met = Met::unknown;
      if (met == Met::sometimes && fate.narrows.empty()) fate.narrows = text;
      if (met == Met::unknown && fate.riddle.empty()) fate.riddle = text;
      const auto next = take(fate, verdict, chain, text, depth);
      if (met != Met::always || next == Next::rule) continue;
      fate.falls_through = next == Next::caller;
      return fate;
    }
    return fate;
  }

 private:
  enum class Next : std::uint8_t { rule, caller, nothing };  // for packets that met the rule

  Next take(Fate& fate, const Verdict& verdict, const InputRules::Chain& chain, const std::string& text, int depth) {
    switch (verdict.kind) {
      case Verdict::Kind::accept:
        fate.accepted = true;
        return Next::nothing;
      case Verdict::Kind::drop:
        fate.dropped = true;
        if (fate.keeps_out.empty()) fate.keeps_out = text;
        return Next::nothing;
      case Verdict::Kind::leave:
        return Next::caller;
      case Verdict::Kind::riddle:
        fate.accepted = fate.dropped = true;  // either may be
        return Next::rule;
      case Verdict::Kind::none:
        return Next::rule;
      case Verdict::Kind::jump:
      case Verdict::Kind::go_to:
        break;
    }
    const auto is_target = [&](const InputRules::Chain& one) { return one.table == chain.table && one.name == verdict.target; };
    const auto target = std::find_if(chains_.begin(), chains_.end(), is_target);
    if (target == chains_.end() || depth >= jump_depth_max) {
      fate.accepted = fate.dropped = true;
      if (fate.riddle.empty()) fate.riddle = text;
      return Next::rule;
    }
    const auto there = walk(*target, depth + 1);
    fate.accepted = fate.accepted || there.accepted;
    fate.dropped = fate.dropped || there.dropped;
    for (auto member : {&Fate::keeps_out, &Fate::narrows, &Fate::riddle})
      if ((fate.*member).empty()) fate.*member = there.*member;
    if (!there.falls_through) return Next::nothing;
    return verdict.kind == Verdict::Kind::jump ? Next::rule : Next::caller;
  }

  // Takes one condition, statement or verdict from the rule.
  Met step(const InputRules::Chain& chain, RuleWords& words, Verdict& verdict) {
    const auto word = words.take();
    if (to_verdict(word, words, verdict)) return Met::always;
    if (passes_over(word, words)) return Met::always;
    if (word == "limit") return words.passes_limit() ? Met::always : Met::never;
    if (word == "update" || word == "add" || word == "delete" || word == "meter") return remembers(words);
    if (word == "iifname" || word == "iif")
      return compare(chain, words, verdict, [&](std::string_view value) { return fits_interface(value); });
    if (word == "ct") return connection(chain, words, verdict);
    if (word == "meta") return meta(chain, words, verdict);
    if (word == "ip" || word == "ip6") return header(chain, word == "ip" ? Family::v4 : Family::v6, words, verdict);
    if (word == "tcp" || word == "udp" || word == "th") return transport(chain, word, words, verdict);
    if (word == "icmp" || word == "icmpv6" || word == "sctp" || word == "dccp" || word == "arp" || word == "ah" || word == "esp")
      return Met::never;
    if (word == "fib") return fib(words);
    if (word == "redirect" || word == "dnat" || word == "tproxy") return led_elsewhere(chain, words, verdict);
    return Met::unknown;
  }

  static bool to_verdict(std::string_view word, RuleWords& words, Verdict& verdict) {
    using Kind = Verdict::Kind;
    if (word == "accept") verdict.kind = Kind::accept;
    if (word == "drop" || word == "reject") verdict.kind = Kind::drop;
    if (word == "return") verdict.kind = Kind::leave;
    if (word == "queue") verdict.kind = Kind::riddle;
    if (word == "jump" || word == "goto") verdict = {word == "jump" ? Kind::jump : Kind::go_to, std::string(words.take())};
    return verdict.kind != Kind::none;
  }

  // Statements that decide nothing.
  static bool passes_over(std::string_view word, RuleWords& words) {
    if (word == "counter") {
      if (words.peek() == "packets") words.skip(4);
      if (words.peek() == "name") words.skip(2);
      return true;
    }
    if (word == "log") {
      static constexpr std::array<std::string_view, 7> options = {"prefix", "level", "flags", "group", "snaplen", "queue-threshold", "tcp"};
      while (std::find(options.begin(), options.end(), words.peek()) != options.end()) words.skip(2);
      return true;
    }
    if (word == "comment") {
      words.skip(1);
      return true;
    }
    return word == "notrack" || word == "continue";
  }

  Met fits_interface(std::string_view value) const {
    if (value.ends_with('*')) return visit_.interface.starts_with(value.substr(0, value.size() - 1)) ? Met::always : Met::never;
    return value == visit_.interface ? Met::always : Met::never;
  }

  Met fits_port(std::string_view value) const {
    const auto ports = parse_port_range(value);
    if (!ports) return Met::unknown;  // a name, or an element with a time limit
    return ports->contains(visit_.port) ? Met::always : Met::never;
  }

  Met fits_protocol(std::string_view value) const {
    return value == to_string(visit_.protocol) || value == std::to_string(static_cast<int>(visit_.protocol)) ? Met::always : Met::never;
  }

  Met fits_destination(std::string_view value) const {
    const auto prefix = parse_prefix(value);
    if (!prefix) return Met::unknown;
    if (!visit_.destination) return Met::sometimes;
    return prefix->contains(*visit_.destination) ? Met::always : Met::never;
  }

  Met fits_source(std::string_view value) const {
    if (value == "0.0.0.0/0" || value == "::/0") return Met::always;
    return visitor_ == Visitor::stranger ? Met::never : Met::sometimes;
  }

  template <class Fits>
  Met compare(const InputRules::Chain& chain, RuleWords& words, Verdict& verdict, const Fits& fits) {
    bool negated = words.peek() == "!=";
    if (negated || words.peek() == "==") words.skip(1);
    if (words.peek() == "vmap") {
      words.skip(1);
      return choose(words.take_values(), verdict, fits);
    }
    auto values = words.take_values();
    if (values.size() == 1 && values[0].starts_with('@')) {
      const auto set = std::find_if(sets_.begin(), sets_.end(), [&](const InputRules::NamedSet& one) {
        return one.table == chain.table && "@" + one.name == values[0];
      });
      if (set == sets_.end()) return Met::unknown;
      values = RuleWords("{ " + set->elements + " }").take_values();
    }
    const auto met = any(values, fits);
    return negated ? opposite(met) : met;
  }

  template <class Fits>
  static Met any(const std::vector<std::string>& values, const Fits& fits) {
    Met met = Met::never;
    for (const auto& value : values) {
      const auto one = fits(std::string_view(value));
      if (one == Met::always) return one;
      if (met == Met::never || one == Met::unknown) met = one == Met::never ? met : one;
    }
    return met;
  }

  // "{ 22 : accept, 80 : jump web }": the verdict of the key that fits.
  template <class Fits>
  static Met choose(const std::vector<std::string>& entries, Verdict& verdict, const Fits& fits) {
    for (const auto& entry : entries) {
      const auto colon = entry.find(" : ");
      if (colon == std::string::npos) return unclear(verdict);  // a named map
      const auto met = fits(std::string_view(entry).substr(0, colon));
      if (met == Met::never) continue;
      if (met != Met::always) return unclear(verdict);
      RuleWords rest(entry.substr(colon + 3));
      const auto word = rest.take();
      if (!to_verdict(word, rest, verdict) && word != "continue") return unclear(verdict);
      return Met::always;
    }
    return Met::never;
  }

  static Met unclear(Verdict& verdict) {
    verdict.kind = Verdict::Kind::riddle;
    return Met::unknown;
  }

  // "dnat ip to ip daddr . meta l4proto . th dport map @leases" leads away what the map has, and so not a port that it has nowhere.
  Met led_elsewhere(const InputRules::Chain& chain, RuleWords& words, Verdict& verdict) const {
    while (!words.at_end() && words.take() != "map") {}
    const auto name = words.take();
    const auto map = std::find_if(sets_.begin(), sets_.end(), [&](const InputRules::NamedSet& one) {
      return one.table == chain.table && name.starts_with('@') && one.name == name.substr(1);
    });
    verdict.kind = Verdict::Kind::riddle;
    if (map == sets_.end()) return Met::unknown;
    for (const auto& element : RuleWords("{ " + map->elements + " }").take_values()) {
      RuleWords key(element);
      for (auto word = key.take(); !word.empty() && word != ":"; word = key.take())
        if (fits_port(word) == Met::always || word.find('-') != std::string_view::npos) return Met::unknown;
    }
    verdict.kind = Verdict::Kind::none;
    return Met::never;
  }

  // "update @seen { ip saddr limit rate over 9/second }": true for the first packet unless the limit must be passed.
  static Met remembers(RuleWords& words) {
    words.skip(1);
    if (words.peek() == "size") words.skip(2);
    bool over = false;
    for (const auto& element : words.take_values()) over = over || element.find(" over ") != std::string::npos;
    return over ? Met::never : Met::always;
  }

  Met connection(const InputRules::Chain& chain, RuleWords& words, Verdict& verdict) {
    const auto key = words.take();
    if (words.peek() == "set") {
      words.skip(2);
      return Met::always;
    }
    if (key == "state")
      return compare(chain, words, verdict, [](std::string_view value) { return value == "new" ? Met::always : Met::never; });
    if (key == "count") {
      const bool over = words.peek() == "over";
      words.skip(over ? 2 : 1);
      return over ? Met::never : Met::always;
    }
    if (key == "direction")
      return compare(chain, words, verdict, [](std::string_view value) { return value == "original" ? Met::always : Met::never; });
    if (key == "status") return compare(chain, words, verdict, [](std::string_view) { return Met::never; });
    compare(chain, words, verdict, [](std::string_view) { return Met::unknown; });
    return Met::unknown;
  }

  Met meta(const InputRules::Chain& chain, RuleWords& words, Verdict& verdict) {
    const auto key = words.take();
    if (words.peek() == "set") {
      words.skip(2);
      return Met::always;
    }
    if (key == "iifname" || key == "iif")
      return compare(chain, words, verdict, [&](std::string_view value) { return fits_interface(value); });
    if (key == "l4proto") return compare(chain, words, verdict, [&](std::string_view value) { return fits_protocol(value); });
    if (key == "nfproto")
      return compare(chain, words, verdict, [&](std::string_view value) {
        return value == (visit_.family == Family::v4 ? "ipv4" : "ipv6") ? Met::always : Met::never;
      });
    if (key == "pkttype")
      return compare(chain, words, verdict,
                     [](std::string_view value) { return value == "host" || value == "unicast" ? Met::always : Met::never; });
    compare(chain, words, verdict, [](std::string_view) { return Met::unknown; });
    return Met::unknown;
  }

  Met header(const InputRules::Chain& chain, Family family, RuleWords& words, Verdict& verdict) {
    const auto key = words.take();
    Met met = Met::unknown;
    if (key == "saddr")
      met = compare(chain, words, verdict, [&](std::string_view value) { return fits_source(value); });
    else if (key == "daddr")
      met = compare(chain, words, verdict, [&](std::string_view value) { return fits_destination(value); });
    else if (key == "protocol" || key == "nexthdr")
      met = compare(chain, words, verdict, [&](std::string_view value) { return fits_protocol(value); });
    else
      compare(chain, words, verdict, [](std::string_view) { return Met::unknown; });
    return family == visit_.family ? met : Met::never;
  }

  Met transport(const InputRules::Chain& chain, std::string_view protocol, RuleWords& words, Verdict& verdict) {
    const auto key = words.take();
    Met met = Met::unknown;
    if (key == "dport")
      met = compare(chain, words, verdict, [&](std::string_view value) { return fits_port(value); });
    else if (key == "flags" && protocol == "tcp")
      met = words.take_flags().meets_syn() ? Met::always : Met::never;
    else if (key == "sport")
      met = compare(chain, words, verdict, [&](std::string_view value) { return fits_source(value); });
    else
      compare(chain, words, verdict, [](std::string_view) { return Met::unknown; });
    return protocol == "th" || protocol == to_string(visit_.protocol) ? met : Met::never;
  }

  // Three forms are common: is the packet for this host, a check of the way back that honest visitors pass, and by which interface that way
  // leads: an honest visitor's, by the one that he comes in by.
  Met fib(RuleWords& words) const {
    const bool of_source = words.peek() == "saddr";
    while (!words.at_end() && words.peek() != "type" && words.peek() != "oif" && words.peek() != "oifname") words.skip(1);
    const bool type = words.take() == "type";
    const bool negated = words.peek() == "!=";
    if (negated) words.skip(1);
    const auto values = words.take_values();
    auto met = Met::never;
    if (type)
      met = std::find(values.begin(), values.end(), "local") != values.end() ? Met::always : Met::never;
    else if (values != std::vector<std::string>{"missing"} && values != std::vector<std::string>{"0"})
      met = of_source ? any(values, [&](std::string_view value) { return fits_interface(value); }) : Met::unknown;
    return negated ? opposite(met) : met;
  }

  const std::vector<InputRules::Chain>& chains_;
  const std::vector<InputRules::NamedSet>& sets_;
  const Visit& visit_;
  Visitor visitor_;
  int rules_judged_ = 0;
};

bool sees(const InputRules::Chain& chain, const Visit& visit) {
  if (chain.hook == "ingress") return chain.device.empty() || chain.device == visit.interface;
  if (chain.hook != "input" && chain.hook != "prerouting") return false;
  return chain.family == "inet" || chain.family == (visit.family == Family::v4 ? "ip" : "ip6");
}

}  // namespace

InputRules::InputRules(std::string_view nft_ruleset) {
  std::string table;
  Chain* chain = nullptr;
  NamedSet* set = nullptr;
  bool in_elements = false;
  for (std::string_view rest = nft_ruleset; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = listed_line(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (const auto name = block_name(line, "table "); !name.empty()) {
      table = name;
      chain = nullptr;
      set = nullptr;
    } else if (const auto chain_name = block_name(line, "chain "); !chain_name.empty() && !in_elements) {
      chains_.push_back({table, table.substr(0, table.find(' ')), std::string(chain_name), {}, {}, false, {}});
      chain = &chains_.back();
      set = nullptr;
    } else if (const auto set_name = block_name(line, line.starts_with("map ") ? "map " : "set "); !set_name.empty() && !in_elements) {
      sets_.push_back({table, std::string(set_name), {}});
      set = &sets_.back();
      chain = nullptr;
    } else if (set && (in_elements || line.starts_with("elements = {"))) {
      auto part = in_elements ? line : line.substr(12);
      in_elements = !part.ends_with('}');
      if (!in_elements) part.remove_suffix(1);
      set->elements += std::string(part) + " ";
    } else if (line == "}") {
      chain = nullptr;
      set = nullptr;
    } else if (chain && line.starts_with("type ")) {
      chain->hook = word_behind(line, "hook");
      chain->device = word_behind(line, "device");
      chain->drops = line.find("policy drop") != std::string_view::npos;
    } else if (chain && !line.empty()) {
      chain->rules.emplace_back(line);
    }
  }
}

Admission InputRules::admission(const Visit& visit) const {
  Admission result;
  // Who keeps out a few addresses still lets everybody in.
  for (const auto visitor : {Visitor::stranger, Visitor::all}) {
    result = {Who::everybody, {}};
    for (const auto& chain : chains_) {
      if (result.who == Who::nobody) break;
      if (!sees(chain, visit)) continue;
      auto fate = Judge(chains_, sets_, visit, visitor).walk(chain);
      if (fate.falls_through) {
        (chain.drops ? fate.dropped : fate.accepted) = true;
        if (chain.drops && fate.keeps_out.empty()) fate.keeps_out = chain.table + " " + chain.name + ": policy drop";
      }
      // What cannot be judged matters only where both ends are possible.
      if (!fate.dropped) continue;
      if (!fate.accepted)
        result = {Who::nobody, fate.keeps_out};
      else if (!fate.riddle.empty() && result.who < Who::unknown)
        result = {Who::unknown, fate.riddle};
      else if (result.who == Who::everybody)
        result = {Who::some, fate.narrows.empty() ? fate.keeps_out : fate.narrows};
    }
    if (result.who == Who::everybody) break;
  }
  return result;
}

}  // namespace drpf::firewall
