// The first line a rule, the rest a file of rules, of profiles and of ufw's: what is taken is written and read again as the same, and the
// text for nft comes of it without a quote or a line that nobody wrote.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "firewall/host/host_ruleset.h"
#include "firewall/host/host_ruleset_text.h"
#include "firewall/host/service_names.h"
#include "firewall/host/ufw_rules.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf::firewall;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto end = std::min(text.find('\n'), text.size());
  const auto rest = text.substr(std::min(end + 1, text.size()));
  static const ServiceNames names;
  HostRuleset ruleset;
  if (const auto rule = parse_host_rule(text.substr(0, end), names)) {
    const auto again = parse_host_rule(to_string(*rule), names);
    if (!again || !(*again == *rule) || !covers(*rule, *again)) std::abort();
    ruleset.rules.push_back(*rule);
  } else if (rule.error().message.empty()) {
    std::abort();
  }
  if (const auto file = parse_host_ruleset(rest, names)) {
    const auto again = parse_host_ruleset(to_string(*file), names);
    if (!again || !(*again == *file)) std::abort();
    ruleset.rules.insert(ruleset.rules.end(), file->rules.begin(), file->rules.end());
  }
  for (auto& rule : read_ufw_rules(rest, names).rules) {
    const auto again = parse_host_rule(to_string(rule), names);
    if (!again || !(again->ports == rule.ports)) std::abort();
    ruleset.rules.push_back(std::move(rule));
  }
  if (const auto profiles = parse_profiles(rest))
    for (const auto& profile : *profiles)
      if (!ServiceNames({}, *profiles).ports_of(profile.name)) std::abort();
  ruleset.on = true;
  for (const std::size_t single : {0u, 1000u}) {
    const auto table = host_nft_text(ruleset, {}, {single});
    if (table.find("\n\n") != std::string_view::npos || std::count(table.begin(), table.end(), '"') % 2 != 0) std::abort();
    for (std::string_view lines = table; !lines.empty(); lines.remove_prefix(lines.find('\n') + 1))
      if (!lines.starts_with("add ") && !lines.starts_with("flush ")) std::abort();
  }
  return 0;
}
