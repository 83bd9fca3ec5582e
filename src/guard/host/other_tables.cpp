#include "guard/host/other_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/text.h"
#include "firewall/foreign_rules.h"
#include "firewall/host/host_ruleset_text.h"
#include "firewall/rule_words.h"

namespace drpf::guard {
namespace {

constexpr std::size_t published_max = 1000;

struct SeenTable {
  std::string name;
  std::vector<std::string> names{};  // its own and its chains'
  std::vector<PublishedPort> published{};
  bool filters = false;
};

// "tcp dport 8080 counter packets 0 bytes 0 dnat to 172.17.0.2:80", with or without "ip", as Docker's and others' rules are listed.
void read_translation(SeenTable& table, std::string_view line) {
  const auto dnat = line.find("dnat ");
  const auto dport = line.find(" dport ");
  if (dnat == std::string_view::npos || dport == std::string_view::npos || table.published.size() >= published_max) return;
  const auto to = line.find(" to ", dnat);
  if (to == std::string_view::npos) return;
  const auto before = line.substr(0, dport);
  const auto protocol = before.substr(before.find_last_of(" \t") + 1);
  firewall::RuleWords ports(line.substr(dport + 7));
  const auto target = trimmed(line.substr(to + 4));
  for (const auto& port : ports.take_values())
    table.published.push_back({fmt::format("{}/{}", port, protocol), std::string(target.substr(0, target.find(' '))), {}});
}

std::vector<SeenTable> read_tables(std::string_view text) {
  std::vector<SeenTable> tables;
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = firewall::listed_line(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (const auto name = firewall::block_name(line, "table "); !name.empty()) {
      tables.push_back({std::string(name), {std::string(name)}});
    } else if (tables.empty()) {
      continue;
    } else if (const auto chain = firewall::block_name(line, "chain "); !chain.empty()) {
      tables.back().names.emplace_back(chain);
    } else if (line.starts_with("type filter hook input") || line.starts_with("type filter hook forward")) {
      tables.back().filters = true;
    } else {
      read_translation(tables.back(), line);
    }
  }
  return tables;
}

std::string what_follows(std::string_view program, std::size_t published) {
  if (program == "docker")
    return fmt::format(
        "it leads {} port{} on to containers, past what input chains say; the rules here judge those ports too, by the number that "
        "visitors ask for",
        published, published == 1 ? "" : "s");
  if (program == "ufw")
    return "what either of the two refuses is refused, so allow in both, or take its rules over: drpf firewall import ufw, then ufw "
           "disable";
  if (program == "firewalld")
    return "what either of the two refuses is refused, so allow in both, or stop it: systemctl disable --now firewalld";
  if (program == "drpf gateway")
    return "leases are its rules' affair and pass here; its own doors are to be allowed: drpf firewall allow 51820/udp, and on its tunnel "
           "allow in on drpf0 5351";
  return "what it refuses is refused, whatever is allowed here: nft list ruleset";
}

}  // namespace

OtherTables other_tables(std::string_view nft_ruleset) {
  OtherTables out;
  const auto own = fmt::format("inet {}", firewall::host_table);
  for (auto& table : read_tables(nft_ruleset)) {
    if (table.name == own) continue;
    auto program = firewall::owner_by_names(table.names);
    if (table.name == "inet drpf") program = "drpf gateway";
    if (program.empty()) program = "unknown";
    if (table.filters || !table.published.empty())
      out.tables.push_back({program, table.name, what_follows(program, table.published.size())});
    for (auto& one : table.published) {
      one.owner = program;
      out.published.push_back(std::move(one));
    }
  }
  std::sort(out.published.begin(), out.published.end());
  out.published.erase(std::unique(out.published.begin(), out.published.end()), out.published.end());
  return out;
}

}  // namespace drpf::guard
