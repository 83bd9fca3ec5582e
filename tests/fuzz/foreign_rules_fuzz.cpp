// Any text as the rule set of other programs: what is found names a table and a chain, and has a cure.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "firewall/foreign_rules.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  firewall::RulesetView view;
  view.tunnel_interface = "drpf0";
  view.tunnel_prefixes = {*parse_prefix("10.77.0.0/16"), *parse_prefix("fd77::/64")};
  for (const auto& rule : firewall::find_foreign_rules(std::string_view(reinterpret_cast<const char*>(data), size), view)) {
    if (rule.table.empty() || rule.table == view.own_table || rule.owner.empty() || rule.text.empty()) std::abort();
    if (firewall::cure_for(rule, view).empty() || firewall::explain(rule).empty()) std::abort();
  }
  return 0;
}
