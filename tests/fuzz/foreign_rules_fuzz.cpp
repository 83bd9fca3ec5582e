// Any text as the rule set of other programs: what is found names a table and a chain, and has a cure.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "firewall/foreign_rules.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  firewall::RulesetView view;
  view.tunnel_interface = "drpf0";
  view.public_interfaces = {"eth0"};
  view.reserved = {PortRange{Port{20000}, Port{20009}}};
  view.tunnel_prefixes = {*parse_prefix("10.77.0.0/16"), *parse_prefix("fd77::/64")};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (firewall::has_own_table(text, view) && text.find(view.own_table) == std::string_view::npos) std::abort();
  for (const auto& rule : firewall::find_foreign_rules(text, view)) {
    if (rule.table.empty() || rule.table == view.own_table || rule.owner.empty() || rule.text.empty()) std::abort();
    if (firewall::is_grave(rule) && rule.effect == firewall::ForeignRule::Effect::marks_packets) std::abort();
    const std::string names[] = {rule.table, rule.chain};
    if (firewall::owner_by_names(names) == "unknown") std::abort();
    if (firewall::cure_for(rule, view).empty() || firewall::explain(rule).empty()) std::abort();
  }
  return 0;
}
