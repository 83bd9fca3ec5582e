#include "firewall/rule_judge.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "firewall/rule_words.h"

namespace drpf::firewall {
namespace {

using Who = Admission::Who;

constexpr int jump_depth_max = 16;
constexpr int rules_judged_max = 20'000;  // jumps can multiply them

// Does the packet meet a condition? `sometimes`: for some visitors or ports; `unknown`: this program cannot tell.
enum class Met : std::uint8_t { never, always, sometimes, unknown };

Met both(Met a, Met b) {
  if (a == Met::never || b == Met::never) return Met::never;
  if (a == Met::unknown || b == Met::unknown) return Met::unknown;
  return a == Met::always ? b : a;
}

Met opposite(Met met) { return met == Met::never ? Met::always : met == Met::always ? Met::never : met; }

Met met_if(bool yes) { return yes ? Met::always : Met::never; }

template <std::size_t Count>
bool is_one_of(std::string_view word, const std::array<std::string_view, Count>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// What may become of the packet in a chain, over all that send such packets.
struct Fate {
  bool accepted = false;
  bool dropped = false;
  bool falls_through = true;
  std::string keeps_out;  // the first rule or policy that drops
  std::string narrows;    // the first rule by which it depends on who sends
  std::string riddle;     // the first rule that cannot be judged, and that matters
};

struct Verdict {
  enum class Kind : std::uint8_t { none, accept, drop, jump, go_to, leave, riddle };
  Kind kind = Kind::none;
  std::string target = {};
};

// What a rule compares: a field of the packet. Without it (another family, another protocol) no value fits, nor does "!=" any.
struct Selector {
  Met present = Met::always;
  std::function<Met(std::string_view value)> fits;  // empty: a field that this program does not know
};

// The packet of `strangers`, whose addresses and ports are in no list, or of all: strangers and the listed.
enum class Senders : std::uint8_t { strangers, all };

class Judge {
 public:
  Judge(const NftListing& listing, const Packet& packet, Senders senders) : listing_(listing), packet_(packet), senders_(senders) {}

  Fate walk(const ListedChain& chain, int depth = 0) {
    Fate fate;
    for (const auto& rule : chain.rules) {
      if (++rules_judged_ > rules_judged_max) {
        fate.riddle = "more rules than this program follows";
        fate.accepted = fate.dropped = true;
        return fate;
      }
      RuleWords words(rule.text);
      Met met = Met::always;
      Verdict verdict;
      while (!words.at_end() && verdict.kind == Verdict::Kind::none && met != Met::never) met = both(met, step(chain, words, verdict));
      const auto text = chain.table + " " + chain.name + ": " + rule.text;
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

  Next take(Fate& fate, const Verdict& verdict, const ListedChain& chain, const std::string& text, int depth) {
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
    const auto* const target = listing_.chain(chain.table, verdict.target);
    if (!target || depth >= jump_depth_max) {
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
  Met step(const ListedChain& chain, RuleWords& words, Verdict& verdict) {
    const auto word = words.take();
    if (to_verdict(word, words, verdict) || passes_over(word, words)) return Met::always;
    if (word == "limit") return met_if(words.passes_limit());
    if (word == "quota") return met_if(words.peek() != "over");
    if (word == "update" || word == "add" || word == "delete" || word == "meter") return remembers(words);
    if (word == "fib") return fib(words);
    if (word == "ct" && words.peek() == "count") {
      words.skip(1);
      const bool over = words.peek() == "over";
      words.skip(over ? 2 : 1);
      return met_if(!over);
    }
    if (word == "tcp" && words.peek() == "flags") {
      words.skip(1);
      const auto flags = words.take_flags();
      const bool met = packet_.state == Packet::State::established ? flags.meets_ack() : flags.meets_syn();
      return both(carries(Protocol::tcp), met_if(met));
    }
    // Headers that neither visits nor tunnels have.
    static constexpr std::array<std::string_view, 16> absent = {"icmp", "icmpv6", "sctp", "dccp", "arp", "ah",   "esp", "comp",
                                                                "igmp", "frag",   "hbh",  "dst",  "mh",  "vlan", "gre", "exthdr"};
    if (is_one_of(word, absent)) return Met::never;
    if (word == "rt" && words.peek() == "type") return Met::never;
    if (word == "xt") return by_iptables(words, verdict);
    if (word == "redirect" || word == "dnat" || word == "tproxy") return led_elsewhere(chain, words, verdict);
    if (word == "masquerade" || word == "snat") {
      verdict.kind = Verdict::Kind::accept;
      return Met::always;
    }
    if (word == "synproxy" || word == "fwd") return unclear(verdict);
    if (auto first = selector(word, words); first.fits) return compare(chain, std::move(first), words, verdict);
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
      while (is_one_of(words.peek(), options)) words.skip(2);
      return true;
    }
    if (word == "comment") {
      words.skip(1);
      return true;
    }
    return word == "notrack" || word == "continue";
  }

  // "meta mark set ct mark & 0xff": up to what comes after the value.
  static Met sets_a_field(RuleWords& words) {
    static constexpr std::array<std::string_view, 10> ends = {"accept", "drop", "reject", "return",  "queue",
                                                              "jump",   "goto", "log",    "counter", "continue"};
    while (!words.at_end() && !is_one_of(words.peek(), ends)) words.skip(1);
    return Met::always;
  }

  Selector selector(std::string_view word, RuleWords& words) const {
    if (word == "iifname" || word == "iif") return {met_if(!packet_.from_interface.empty()), by_interface(packet_.from_interface)};
    if (word == "oifname" || word == "oif") return {met_if(!packet_.to_interface.empty()), by_interface(packet_.to_interface)};
    if (word == "ct") return of_connection(words);
    if (word == "meta") return of_meta(words);
    if (word == "ip" || word == "ip6") return of_header(word == "ip" ? Family::v4 : Family::v6, words.take());
    if (word == "tcp") return of_transport(carries(Protocol::tcp), words.take());
    if (word == "udp") return of_transport(carries(Protocol::udp), words.take());
    if (word == "th") return of_transport(Met::always, words.take());
    return {};
  }

  static Selector unknown_field(Met present = Met::always) {
    return {present, [](std::string_view) { return Met::unknown; }};
  }

  std::function<Met(std::string_view)> by_interface(const std::string& interface) const {
    return [&interface](std::string_view value) {
      if (value.ends_with('*')) return met_if(interface.starts_with(value.substr(0, value.size() - 1)));
      return met_if(value == interface);
    };
  }

  Met carries(Protocol protocol) const { return packet_.protocol ? met_if(*packet_.protocol == protocol) : Met::sometimes; }

  Met fits_protocol(std::string_view value) const {
    for (const auto protocol : {Protocol::tcp, Protocol::udp})
      if (value == to_string(protocol) || value == std::to_string(static_cast<int>(protocol))) return carries(protocol);
    return Met::never;
  }

  Selector of_connection(RuleWords& words) const {
    const auto key = words.take();
    if (key == "state") {
      static constexpr std::array<std::string_view, 3> states = {"new", "established", "untracked"};
      return {Met::always,
              [state = states[static_cast<std::size_t>(packet_.state)]](std::string_view value) { return met_if(value == state); }};
    }
    if (key == "direction")
      return {Met::always, [this](std::string_view value) { return met_if(value == (packet_.is_reply ? "reply" : "original")); }};
    if (key == "status")
      return {Met::always, [this](std::string_view value) {
                if (value == "dnat") return met_if(packet_.is_redirected);
                return packet_.state == Packet::State::established ? Met::unknown : Met::never;
              }};
    if (key == "original" || key == "reply")
      if (const auto field = words.take(); field == "ip" || field == "ip6") words.skip(1);
    return unknown_field();
  }

  Selector of_meta(RuleWords& words) const {
    const auto key = words.take();
    if (key == "iifname" || key == "iif" || key == "oifname" || key == "oif") return selector(key, words);
    if (key == "l4proto") return {Met::always, [this](std::string_view value) { return fits_protocol(value); }};
    if (key == "nfproto" || key == "protocol")
      return {Met::always, [this](std::string_view value) {
                return met_if(packet_.family == Family::v4 ? value == "ipv4" || value == "ip" : value == "ipv6" || value == "ip6");
              }};
    if (key == "pkttype") return {Met::always, [](std::string_view value) { return met_if(value == "host" || value == "unicast"); }};
    return unknown_field();
  }

  Selector of_header(Family family, std::string_view key) const {
    const auto present = met_if(family == packet_.family);
    if (key == "saddr") return {present, [this](std::string_view value) { return fits_party(packet_.source, value); }};
    if (key == "daddr") return {present, [this](std::string_view value) { return fits_party(packet_.destination, value); }};
    if (key == "protocol" || key == "nexthdr") return {present, [this](std::string_view value) { return fits_protocol(value); }};
    return unknown_field(present);
  }

  Selector of_transport(Met present, std::string_view key) const {
    if (key == "dport") return {present, [this](std::string_view value) { return fits_ports(packet_.destination_port, false, value); }};
    if (key == "sport") {
      const bool strange = packet_.source.who == Party::Who::stranger;
      return {present, [this, strange](std::string_view value) { return fits_ports(packet_.source_port, strange, value); }};
    }
    return unknown_field(present);
  }

  Met fits_ports(const std::optional<PortRange>& own, bool strange, std::string_view value) const {
    const auto ports = parse_port_range(value);
    if (!own && strange && senders_ == Senders::strangers) return met_if(ports && ports->size() > 0xfff0);
    if (!ports) return Met::unknown;  // a name
    if (!own) return ports->size() > 0xfff0 ? Met::always : Met::sometimes;
    if (ports->contains(own->first()) && ports->contains(own->last())) return Met::always;
    return ports->overlaps(*own) ? Met::sometimes : Met::never;
  }

  Met fits_party(const Party& party, std::string_view value) const {
    if (value == "0.0.0.0/0" || value == "::/0") return Met::always;
    if (party.who == Party::Who::stranger) return senders_ == Senders::strangers ? Met::never : Met::sometimes;
    if (const auto dash = value.find('-'); dash != std::string_view::npos) {
      const auto first = parse_address(value.substr(0, dash)), last = parse_address(value.substr(dash + 1));
      if (!first || !last) return Met::unknown;
      if (party.who == Party::Who::this_host) return Met::sometimes;
      const auto& own = party.prefix.address();
      if (own.family() != first->family()) return Met::never;
      if (party.prefix.length() == own.bits()) return met_if(*first <= own && own <= *last);
      return Met::unknown;
    }
    const auto prefix = parse_prefix(value);
    if (!prefix) return Met::unknown;
    if (party.who == Party::Who::this_host) return Met::sometimes;
    if (prefix->contains(party.prefix)) return Met::always;
    return prefix->overlaps(party.prefix) ? Met::sometimes : Met::never;
  }

  // One field or several ("ip daddr . tcp dport"), against a value, a set or a verdict map.
  Met compare(const ListedChain& chain, Selector first, RuleWords& words, Verdict& verdict) {
    if (words.peek() == "set") return sets_a_field(words);
    std::vector<Selector> fields;
    fields.push_back(std::move(first));
    while (words.peek() == ".") {
      words.skip(1);
      auto next = selector(words.take(), words);
      fields.push_back(next.fits ? std::move(next) : unknown_field());
    }
    Met present = Met::always;
    for (const auto& field : fields) present = both(present, field.present);
    static constexpr std::array<std::string_view, 6> arithmetic = {"&", "|", "^", "and", "or", "xor"};
    if (is_one_of(words.peek(), arithmetic)) {
      while (!words.at_end() && words.peek() != "==" && words.peek() != "!=" && words.peek() != "vmap") words.skip(1);
      if (words.take() == "vmap") return both(present, unclear(verdict));
      words.take_values();
      return both(present, Met::unknown);
    }
    const auto fits = [&](std::string_view element) { return fits_all(fields, element); };
    const bool negated = words.peek() == "!=";
    if (negated || words.peek() == "==") words.skip(1);
    if (words.peek() == "vmap") {
      words.skip(1);
      const auto entries = elements(chain, words.take_values());
      return both(present, entries ? choose(*entries, verdict, fits) : unclear(verdict));
    }
    if (const auto compared = words.peek(); compared == "<" || compared == ">" || compared == "<=" || compared == ">=") {
      words.skip(2);
      return both(present, Met::unknown);
    }
    const auto values = elements(chain, words.take_values());
    if (!values) return both(present, Met::unknown);
    Met met = Met::never;
    for (const auto& value : *values) {
      const auto one = fits(value);
      if (one == Met::always || (one != Met::never && met != Met::unknown)) met = one;
      if (met == Met::always) break;
    }
    return both(present, negated ? opposite(met) : met);
  }

  // What stands in braces, or in the set or map that is named; nothing where that is not listed.
  std::optional<std::vector<std::string>> elements(const ListedChain& chain, std::vector<std::string> values) const {
    if (values.size() != 1 || !values[0].starts_with('@')) return values;
    const auto* const set = listing_.set(chain.table, std::string_view(values[0]).substr(1));
    if (!set) return std::nullopt;
    return RuleWords("{ " + set->elements + " }").take_values();
  }

  // "10.0.0.1 . 22 timeout 1h expires 59m": what an element has behind its values does not count.
  static Met fits_all(const std::vector<Selector>& fields, std::string_view element) {
    Met met = Met::always;
    for (const auto& field : fields) {
      element = trimmed(element);
      const auto value = element.substr(0, element.find(' '));
      met = both(met, field.fits(value));
      element = trimmed(element.substr(value.size()));
      if (element.starts_with(". ")) element.remove_prefix(2);
    }
    return met;
  }

  // "22 : accept", "tcp . 80 : jump web": the verdict of the key that fits.
  template <class Fits>
  static Met choose(const std::vector<std::string>& entries, Verdict& verdict, const Fits& fits) {
    for (const auto& entry : entries) {
      const auto colon = entry.find(" : ");
      if (colon == std::string::npos) return unclear(verdict);
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

  // What iptables' programs put there and nft cannot translate.
  static Met by_iptables(RuleWords& words, Verdict& verdict) {
    static constexpr std::array<std::string_view, 12> harmless = {"LOG",      "NFLOG", "MARK",     "CONNMARK", "TCPMSS", "CT",
                                                                  "CHECKSUM", "TOS",   "CLASSIFY", "SET",      "DSCP",   "TRACE"};
    const bool is_target = words.take() == "target";
    const auto name = words.take();
    if (!is_target) return Met::unknown;
    if (is_one_of(name, harmless)) return Met::always;
    if (name != "MASQUERADE" && name != "SNAT" && name != "NETMAP") return unclear(verdict);
    verdict.kind = Verdict::Kind::accept;
    return Met::always;
  }

  // "dnat ip to ip daddr . meta l4proto . th dport map @leases" leads away what the map has, and so not a port that it has nowhere.
  Met led_elsewhere(const ListedChain& chain, RuleWords& words, Verdict& verdict) const {
    if (!packet_.redirects_decide) {
      verdict.kind = Verdict::Kind::accept;
      return Met::always;
    }
    while (!words.at_end() && words.take() != "map") {}
    const auto name = words.take();
    const auto* const map = name.starts_with('@') ? listing_.set(chain.table, name.substr(1)) : nullptr;
    if (!map) return unclear(verdict);
    for (const auto& element : RuleWords("{ " + map->elements + " }").take_values()) {
      RuleWords key(element);
      for (auto word = key.take(); !word.empty() && word != ":"; word = key.take())
        if (fits_ports(packet_.destination_port, false, word) == Met::always || word.find('-') != std::string_view::npos)
          return unclear(verdict);
    }
    return Met::never;
  }

  // "update @seen { ip saddr limit rate over 9/second }": true for the first packet unless the limit must be passed.
  static Met remembers(RuleWords& words) {
    words.skip(1);
    if (words.peek() == "size") words.skip(2);
    bool over = false;
    for (const auto& element : words.take_values()) over = over || element.find(" over ") != std::string::npos;
    return met_if(!over);
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
    if (type) {
      const bool local = of_source ? packet_.from_interface.empty() : packet_.is_for_this_host;
      met = met_if(std::find(values.begin(), values.end(), local ? "local" : "unicast") != values.end());
    } else if (values != std::vector<std::string>{"missing"} && values != std::vector<std::string>{"0"}) {
      met = of_source ? Met::never : Met::unknown;
      if (of_source)
        for (const auto& value : values)
          if (by_interface(packet_.from_interface)(value) == Met::always) met = Met::always;
    }
    return negated ? opposite(met) : met;
  }

  const NftListing& listing_;
  const Packet& packet_;
  Senders senders_;
  int rules_judged_ = 0;
};

}  // namespace

Admission judge(const NftListing& listing, std::span<const ListedChain* const> chains, const Packet& packet) {
  Admission result;
  for (const auto senders : {Senders::strangers, Senders::all}) {
    result = {Who::everybody, {}};
    for (const auto* const chain : chains) {
      if (result.who == Who::nobody) break;
      auto fate = Judge(listing, packet, senders).walk(*chain);
      if (fate.falls_through) {
        (chain->drops ? fate.dropped : fate.accepted) = true;
        if (chain->drops && fate.keeps_out.empty()) fate.keeps_out = chain->table + " " + chain->name + ": policy drop";
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
