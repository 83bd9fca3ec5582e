#include "firewall/foreign_rules.h"

#include <algorithm>
#include <optional>
#include <sstream>

namespace drpf::firewall {
namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string trimmed(std::string_view line) {
  const auto first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return std::string(line.substr(first, line.find_last_not_of(" \t") - first + 1));
}

// "table ip filter {" -> "ip filter"
std::optional<std::string> name_after(std::string_view line, std::string_view keyword) {
  if (!line.starts_with(keyword) || !line.ends_with("{")) return std::nullopt;
  return trimmed(line.substr(keyword.size(), line.size() - keyword.size() - 1));
}

// A rule that is limited to sources or interfaces that are not ours cannot touch tunnel traffic.
bool spares_the_tunnel(std::string_view rule, const RulesetView& view) {
  std::istringstream words{std::string(rule)};
  std::string word, previous;
  while (words >> word) {
    if (previous == "saddr")
      if (const auto prefix = parse_prefix(word))
        return std::none_of(view.tunnel_prefixes.begin(), view.tunnel_prefixes.end(),
                            [&](const Prefix& ours) { return ours.overlaps(*prefix); });
    if (previous == "iifname" && word != "!=") {
      auto name = word;
      std::erase(name, '"');
      const bool wildcard = name.ends_with('*');
      if (wildcard) name.pop_back();
      return wildcard ? !view.tunnel_interface.starts_with(name) : name != view.tunnel_interface;
    }
    previous = word;
  }
  return false;
}

std::string owner_of(std::string_view table_text, std::string_view table) {
  if (contains(table, "firewalld")) return "firewalld";
  if (contains(table_text, "DOCKER")) return "docker";
  if (contains(table_text, "ufw-")) return "ufw";
  return "unknown";
}

// Rules of chains that a NAT base chain jumps to count as well, so every chain is looked at.
bool rewrites_source(std::string_view rule) {
  return contains(rule, "masquerade") || contains(rule, "snat to") || contains(rule, "snat ip to") ||
         contains(rule, "xt target \"MASQUERADE\"");
}

}  // namespace

std::vector<ForeignRule> find_foreign_rules(std::string_view nft_ruleset, const RulesetView& view) {
  std::vector<ForeignRule> found;
  std::istringstream lines{std::string(nft_ruleset)};
  std::string raw, table, chain, table_text;
  std::size_t first_of_table = 0;
  while (std::getline(lines, raw)) {
    const auto line = trimmed(raw);
    if (const auto name = name_after(line, "table ")) {
      table = *name;
      table_text.clear();
      first_of_table = found.size();
      continue;
    }
    table_text += line + "\n";
    if (raw == "}") {  // the whole table's text tells whose it is
      for (auto i = first_of_table; i < found.size(); ++i) found[i].owner = owner_of(table_text, table);
      table.clear();
    }
    if (table.empty() || table == view.own_table) continue;
    if (const auto name = name_after(line, "chain ")) {
      chain = *name;
    } else if (line.starts_with("type ")) {
      const bool drops = contains(line, "policy drop");
      if (drops && contains(line, "hook forward")) found.push_back({ForeignRule::Effect::drops_forwarded, table, chain, {}, line});
      if (drops && contains(line, "hook input")) found.push_back({ForeignRule::Effect::drops_input, table, chain, {}, line});
    } else if (rewrites_source(line) && !spares_the_tunnel(line, view)) {
      found.push_back({ForeignRule::Effect::rewrites_source, table, chain, {}, line});
    }
  }
  return found;
}

std::string cure_for(const ForeignRule& rule, const RulesetView& view, Port wireguard_port) {
  const auto& tunnel = view.tunnel_interface;
  const auto where = "table " + rule.table + ", chain " + rule.chain;
  switch (rule.effect) {
    case ForeignRule::Effect::drops_forwarded:
      if (rule.owner == "docker")
        return "let Docker's chain pass the tunnel: iptables -I DOCKER-USER -i " + tunnel + " -j ACCEPT; iptables -I DOCKER-USER -o " +
               tunnel + " -j ACCEPT";
      if (rule.owner == "ufw") return "ufw route allow in on " + tunnel + "; ufw route allow out on " + tunnel;
      if (rule.owner == "firewalld")
        return "firewall-cmd --permanent --zone=trusted --add-interface=" + tunnel + " && firewall-cmd --reload";
      return "accept packets from and to " + tunnel + " in " + where;
    case ForeignRule::Effect::drops_input:
      if (rule.owner == "ufw") return "ufw allow " + to_string(wireguard_port) + "/udp; ufw allow in on " + tunnel;
      if (rule.owner == "firewalld")
        return "firewall-cmd --permanent --add-port=" + to_string(wireguard_port) + "/udp && firewall-cmd --reload";
      return "accept udp port " + to_string(wireguard_port) + " and everything from " + tunnel + " in " + where;
    case ForeignRule::Effect::rewrites_source:
      return "limit that rule to its own networks (for example `ip saddr 172.17.0.0/16`) or take it out: drpf translates its tunnels' "
             "addresses itself";
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
