#include "firewall/host/host_ruleset_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "firewall/host/rule_sets.h"

namespace drpf::firewall {
namespace {

constexpr std::size_t gathered_min = 4;  // fewer neighbours are not worth a set
constexpr unsigned refused_max = 4096;
constexpr unsigned limited_max = 65'535;

// Which packets a chain judges: `published` are those that are led on to a container of this machine, by what they came to.
enum class Way : std::uint8_t { in, out, published };

template <class List, class Text>
std::string set_text(const List& list, const Text& text) {
  if (list.size() == 1) return text(list.front());
  std::string out;
  out.reserve(list.size() * 24);
  for (const auto& one : list) {
    out += out.empty() ? "{ " : ", ";
    out += text(one);
  }
  return out + " }";
}

std::vector<Prefix> of_family(const std::vector<Prefix>& prefixes, Family family) {
  std::vector<Prefix> out;
  std::copy_if(prefixes.begin(), prefixes.end(), std::back_inserter(out), [&](const Prefix& one) { return one.family() == family; });
  return out;
}

std::string_view ip_word(Family family) { return family == Family::v4 ? "ip" : "ip6"; }

// "ip saddr { 10.0.0.0/8, 192.168.0.0/16 } "; where all addresses of the family are meant, its name.
std::string prefix_condition(Family family, std::string_view field, const std::vector<Prefix>& prefixes) {
  const auto apart = disjoint(prefixes);
  if (apart.front().length() == 0) return fmt::format("meta nfproto ipv{} ", family == Family::v4 ? 4 : 6);
  return fmt::format("{} {} ", field, set_text(apart, [](const Prefix& one) { return to_string(one); }));
}

std::string ports_text(const std::vector<ServicePorts>& ports, Protocol protocol) {
  std::vector<PortRange> ranges;
  for (const auto& one : ports)
    if (one.protocol == protocol) ranges.push_back(one.ports);
  return ranges.empty() ? std::string() : set_text(ranges, [](PortRange range) { return to_string(range); });
}

class ChainText {
 public:
  ChainText(const HostRuleset& ruleset, Way way, std::string chain, const HostTextForm& form)
      : ruleset_(ruleset), way_(way), chain_(std::move(chain)), form_(form) {}

  std::string build() {
    const auto direction = way_ == Way::out ? Direction::out : Direction::in;
    const auto& rules = ruleset_.rules;
    for (std::size_t i = 0; i < rules.size();) {
      auto end = i + 1;
      while (end < rules.size() && rules[end].treatment == rules[i].treatment && rules[end].leased == rules[i].leased &&
             rules[end].direction == rules[i].direction)
        ++end;
      if (rules.size() <= form_.single_rules_max || end - i < gathered_min || rules[i].leased) end = i + 1;
      if (rules[i].direction == direction) {
        if (end - i == 1 || !gathered(i, end))
          for (auto one = i; one < end; ++one) single(one);
      }
      i = end;
    }
    return std::move(text_);
  }

 private:
  void line(const std::string& conditions, Treatment treatment, const std::string& name) {
    text_ += fmt::format("add rule inet {} {} {}counter {} comment \"{}\"\n", host_table, chain_, conditions, verdict(treatment), name);
  }

  std::string_view verdict(Treatment treatment) const {
    switch (treatment) {
      case Treatment::allow:
        return "accept";
      case Treatment::deny:
        return way_ == Way::in ? "goto refused" : "drop";
      case Treatment::reject:
        return "goto rejected";
      case Treatment::limit:
        break;
    }
    return "goto limited";
  }

  std::string remote_field(Family family) const { return fmt::format("{} {}", ip_word(family), way_ == Way::out ? "daddr" : "saddr"); }
  std::string local_field(Family family) const {
    return fmt::format("{}{} {}", way_ == Way::published ? "ct original " : "", ip_word(family), way_ == Way::out ? "saddr" : "daddr");
  }
  const std::vector<Prefix>& remote(const HostRule& rule) const { return way_ == Way::out ? rule.to : rule.from; }
  const std::vector<Prefix>& local(const HostRule& rule) const { return way_ == Way::out ? rule.from : rule.to; }

  std::string interface_condition(const HostRule& rule) const {
    if (rule.interface.empty()) return {};
    return fmt::format("{} \"{}\" ", way_ == Way::out ? "oifname" : "iifname", rule.interface);
  }

  std::string port_condition(Protocol protocol, const std::string& ports) const {
    if (way_ == Way::published) return fmt::format("meta l4proto {} ct original proto-dst {} ", to_string(protocol), ports);
    return fmt::format("{} dport {} ", to_string(protocol), ports);
  }

  // One for each line that the ports take; an empty one where the rule is not about ports.
  std::vector<std::string> port_conditions(const std::vector<ServicePorts>& ports, bool leased) const {
    std::vector<std::string> out;
    for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
      if (const auto text = ports_text(ports, protocol); !text.empty()) out.push_back(port_condition(protocol, text));
      if (leased) out.push_back(port_condition(protocol, fmt::format("@leased_{}", to_string(protocol))));
    }
    if (ports.empty() && !leased) out.emplace_back();
    return out;
  }

  void single(std::size_t index) {
    const auto& rule = ruleset_.rules[index];
    write(rule, remote(rule), local(rule), port_conditions(rule.ports, rule.leased), std::to_string(index + 1));
  }

  void write(const HostRule& rule, const std::vector<Prefix>& far, const std::vector<Prefix>& near, const std::vector<std::string>& ports,
             const std::string& name) {
    const auto interface = interface_condition(rule);
    if (far.empty() && near.empty()) {
      for (const auto& one : ports) line(interface + one, rule.treatment, name);
      return;
    }
    for (const auto family : {Family::v4, Family::v6}) {
      const auto far_here = of_family(far, family);
      const auto near_here = of_family(near, family);
      if ((!far.empty() && far_here.empty()) || (!near.empty() && near_here.empty())) continue;
      auto addresses = interface;
      if (!far_here.empty()) addresses += prefix_condition(family, remote_field(family), far_here);
      if (!near_here.empty()) addresses += prefix_condition(family, local_field(family), near_here);
      for (const auto& one : ports) line(addresses + one, rule.treatment, name);
    }
  }

  // Rules from `begin` to `end`, all with one answer, so that their order among each other means nothing.
  bool gathered(std::size_t begin, std::size_t end) {
    using Key = std::pair<std::string, std::vector<Prefix>>;  // interface and the machine's own addresses
    std::map<Key, std::vector<const HostRule*>> groups;
    for (auto i = begin; i < end; ++i) groups[{ruleset_.rules[i].interface, local(ruleset_.rules[i])}].push_back(&ruleset_.rules[i]);
    const auto name = fmt::format("{}-{}", begin + 1, end);
    const auto before = text_.size();
    for (const auto& [key, rules] : groups) {
      if (group(rules, name)) continue;
      text_.resize(before);
      return false;
    }
    return true;
  }

  bool group(const std::vector<const HostRule*>& rules, const std::string& name) {
    std::vector<ServicePorts> ports;  // for everybody
    std::vector<Prefix> networks;     // with all ports
    std::map<std::vector<ServicePorts>, std::vector<Prefix>> published;
    std::map<std::pair<Family, Protocol>, std::vector<PortsOfNetwork>> pairs;
    const auto& first = *rules.front();
    for (const auto* rule : rules) {
      const auto& far = remote(*rule);
      if (far.empty() && !rule->has_ports()) {
        write(first, {}, local(first), {""}, name);  // everything: the others have nothing to add
        return true;
      }
      if (far.empty()) {
        ports.insert(ports.end(), rule->ports.begin(), rule->ports.end());
      } else if (!rule->has_ports()) {
        networks.insert(networks.end(), far.begin(), far.end());
      } else if (way_ == Way::published) {
        auto& same = published[rule->ports];
        same.insert(same.end(), far.begin(), far.end());
      } else {
        for (const auto& network : far)
          for (const auto& one : rule->ports) pairs[{network.family(), one.protocol}].push_back({network, one.ports});
      }
    }
    if (!ports.empty()) write(first, {}, local(first), port_conditions(merged(std::move(ports)), false), name);
    if (!networks.empty()) write(first, networks, local(first), {""}, name);
    for (const auto& [same, far] : published) write(first, far, local(first), port_conditions(same, false), name);
    for (const auto& [kind, all] : pairs) {
      const auto apart = disjoint(all);
      if (!apart) return false;
      const auto [family, protocol] = kind;
      const auto near = of_family(local(first), family);
      if (!local(first).empty() && near.empty()) continue;
      line(interface_condition(first) + (near.empty() ? "" : prefix_condition(family, local_field(family), near)) +
               fmt::format("{} . {} dport {} ", remote_field(family), to_string(protocol), pair_set(*apart)),
           first.treatment, name);
    }
    return true;
  }

  static std::string pair_set(const std::vector<PortsOfNetwork>& elements) {
    std::string out;
    out.reserve(elements.size() * 32);
    for (const auto& one : elements)
      out += fmt::format("{}{} . {}", out.empty() ? "{ " : ", ", to_string(one.network), to_string(one.ports));
    return out + " }";
  }

  const HostRuleset& ruleset_;
  Way way_;
  std::string chain_;
  const HostTextForm& form_;
  std::string text_;
};

class TableText {
 public:
  explicit TableText(const HostTextForm& form) : form_(form) {}

  std::string build(const HostRuleset& ruleset, const std::optional<HostTrial>& trial) {
    structure();
    leased(ruleset.leased);
    refusals();
    judges(ruleset, "");
    if (trial) judges(trial->before, "_before");
    for (const auto* chain : {"input", "output", "forward"}) {
      if (trial) {
        rule(chain, fmt::format("meta nfproto @{} goto judge_{}", trial_set, chain));
        rule(chain, fmt::format("goto judge_{}_before", chain));
      } else {
        rule(chain, fmt::format("goto judge_{}{}", chain, ruleset.panic ? " comment \"panic\"" : ""));
      }
    }
    if (trial)
      text_ += fmt::format("add element inet {} {} {{ ipv4 timeout {}s, ipv6 timeout {}s }}\n", host_table, trial_set, trial->time.count(),
                           trial->time.count());
    return std::move(text_);
  }

  void leased(const std::vector<ServicePorts>& ports) {
    for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
      text_ += fmt::format("flush set inet {} leased_{}\n", host_table, to_string(protocol));
      if (const auto elements = ports_text(ports, protocol); !elements.empty())
        text_ += fmt::format("add element inet {} leased_{} {}\n", host_table, to_string(protocol),
                             elements.starts_with('{') ? elements : "{ " + elements + " }");
    }
  }

  std::string take() { return std::move(text_); }

 private:
  void rule(std::string_view chain, std::string_view words) { text_ += fmt::format("add rule inet {} {} {}\n", host_table, chain, words); }

  void structure() {
    text_ += fmt::format("add table inet {}\n", host_table);
    for (const auto* hook : {"input", "output", "forward"})
      text_ += fmt::format("add chain inet {} {} {{ type filter hook {} priority filter ; policy accept ; }}\n", host_table, hook, hook);
    for (const auto* chain : {"judge_input", "judge_output", "judge_forward", "judge_published", "judge_input_before",
                              "judge_output_before", "judge_forward_before", "judge_published_before", "refused", "rejected", "limited"})
      text_ += fmt::format("add chain inet {} {}\n", host_table, chain);
    const auto set = [&](std::string_view name, std::string_view definition) {
      text_ += fmt::format("add set inet {} {} {{ {} ; }}\n", host_table, name, definition);
    };
    set(trial_set, "typeof meta nfproto ; flags timeout");
    for (const auto family : {4, 6}) {
      const auto key = fmt::format("type ipv{}_addr . inet_proto . inet_service", family);
      set(family == 4 ? refused_set_v4 : refused_set_v6,
          fmt::format("{} ; size {} ; flags dynamic,timeout ; timeout 1h ; counter", key, refused_max));
      set(fmt::format("limited{}", family), fmt::format("{} ; size {} ; flags dynamic,timeout ; timeout 2m", key, limited_max));
    }
    for (const auto* protocol : {"tcp", "udp"}) set(fmt::format("leased_{}", protocol), "type inet_service ; flags interval");
    text_ += fmt::format("flush table inet {}\nflush set inet {} {}\n", host_table, host_table, trial_set);
  }

  // What was refused is kept for `drpf firewall log`, by source and port: no flood makes more of it than the set holds.
  void refusals() {
    rule("refused",
         fmt::format("meta nfproto ipv4 meta l4proto {{ tcp, udp }} update @{} {{ ip saddr . meta l4proto . th dport }} counter drop",
                     refused_set_v4));
    rule("refused",
         fmt::format("meta nfproto ipv6 meta l4proto {{ tcp, udp }} update @{} {{ ip6 saddr . meta l4proto . th dport }} counter drop",
                     refused_set_v6));
    rule("refused", "counter drop");
    rule("rejected", "meta l4proto tcp reject with tcp reset");
    rule("rejected", "reject with icmpx type admin-prohibited");
    rule("limited", "ct state != new accept");
    const auto rate = fmt::format("limit rate over {}/minute burst {} packets", limit_connections * 60 / limit_period_s, limit_connections);
    rule("limited", fmt::format("meta nfproto ipv4 update @limited4 {{ ip saddr . meta l4proto . th dport {} }} goto refused", rate));
    rule("limited",
         fmt::format("meta nfproto ipv6 update @limited6 {{ ip6 saddr & ffff:ffff:ffff:ffff:: . meta l4proto . th dport {} }} goto refused",
                     rate));
    rule("limited", "accept");
  }

  void judges(const HostRuleset& ruleset, const std::string& suffix) {
    const auto input = "judge_input" + suffix;
    const auto output = "judge_output" + suffix;
    const auto forward = "judge_forward" + suffix;
    const auto published = "judge_published" + suffix;
    if (ruleset.panic) return panic(ruleset, suffix);
    if (!ruleset.on) {
      for (const auto& chain : {input, output, forward}) rule(chain, "accept");
      return;
    }
    rule(input, "iifname \"lo\" accept");
    rule(input, "ct state invalid counter drop comment \"invalid\"");
    link(input);
    rule(input, "ct direction reply ct state established accept");
    rule(input, "ct state related meta l4proto { icmp, 58 } accept");
    rule(input, "meta nfproto ipv4 udp sport 67 udp dport 68 accept");
    rule(input, "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept");
    text_ += ChainText(ruleset, Way::in, input, form_).build();
    rule(input, "icmp type echo-request accept");
    rule(input, "icmpv6 type echo-request accept");
    rule(input, "counter goto refused comment \"default\"");

    rule(output, "oifname \"lo\" accept");
    link(output);
    rule(output, "ct direction reply ct state established accept");
    rule(output, "ct state related accept");
    rule(output, "meta nfproto ipv4 udp sport 68 udp dport 67 accept");
    rule(output, "ip6 saddr fe80::/10 udp sport 546 udp dport 547 accept");
    text_ += ChainText(ruleset, Way::out, output, form_).build();
    rule(output, "accept");

    // What is led on to a port of a container on this machine; a gateway's leases are its own rules' affair.
    rule(forward, fmt::format("ct status dnat ct direction original oifname != \"drpf*\" goto {}", published));
    rule(forward, "accept");
    text_ += ChainText(ruleset, Way::published, published, form_).build();
    rule(published, "counter drop comment \"default\"");
  }

  // Neighbours, routers and groups of the link. 58 is ICMPv6: nft finds the name only in /etc/protocols.
  void link(const std::string& chain) {
    rule(chain,
         "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect } ip6 hoplimit 255 "
         "accept");
    rule(chain,
         "ip6 saddr fe80::/10 icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept");
  }

  void panic(const HostRuleset& ruleset, const std::string& suffix) {
    const auto input = "judge_input" + suffix;
    const auto output = "judge_output" + suffix;
    rule(input, "iifname \"lo\" accept");
    rule(output, "oifname \"lo\" accept");
    link(input);
    link(output);
    if (ruleset.session) {
      const auto& [remote, local] = *ruleset.session;
      const auto ip = ip_word(remote.address.family());
      rule(input, fmt::format("{} saddr {} {} daddr {} tcp sport {} tcp dport {} accept", ip, to_string(remote.address), ip,
                              to_string(local.address), remote.port.value(), local.port.value()));
      rule(output, fmt::format("{} saddr {} {} daddr {} tcp sport {} tcp dport {} accept", ip, to_string(local.address), ip,
                               to_string(remote.address), local.port.value(), remote.port.value()));
    }
    rule(input, "counter drop");
    rule(output, "counter drop");
    rule("judge_forward" + suffix, "counter drop");
  }

  const HostTextForm& form_;
  std::string text_;
};

}  // namespace

std::string host_nft_text(const HostRuleset& ruleset, const std::optional<HostTrial>& trial, const HostTextForm& form) {
  return TableText(form).build(ruleset, trial);
}

std::string host_nft_removal() { return fmt::format("add table inet {}\ndelete table inet {}\n", host_table, host_table); }

std::string host_nft_leased(const std::vector<ServicePorts>& leased) {
  TableText text{HostTextForm{}};
  text.leased(leased);
  return text.take();
}

}  // namespace drpf::firewall
