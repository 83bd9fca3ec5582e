// What other software's nftables rules do to ours, read from the text of `nft list ruleset`. Pure; it judges and changes nothing.
// An accept in our table does not beat a drop in another, and a foreign masquerade without a port range re-opens Port Shadow.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"

namespace drpf::firewall {

struct ForeignRule {
  enum class Effect {
    drops_forwarded,  // a forward chain whose policy is drop: leases and the devices' own traffic would be lost
    drops_input,      // an input chain whose policy is drop: handshakes may not arrive
    rewrites_source,  // masquerade or snat that may apply to tunnel traffic
  };
  Effect effect{};
  std::string table;  // "ip filter"
  std::string chain;
  std::string owner;  // "docker", "ufw", "firewalld", or "unknown"
  std::string text;   // the rule or the chain's head
};

struct RulesetView {
  std::string own_table = "inet drpf";
  std::string tunnel_interface;
  std::vector<Prefix> tunnel_prefixes;
};

std::vector<ForeignRule> find_foreign_rules(std::string_view nft_ruleset, const RulesetView& view);

// Which known program keeps tables or chains of these names on this host; empty if none does.
std::string owner_by_names(std::span<const std::string> names);

// What the operator should do about it, in one sentence.
std::string cure_for(const ForeignRule& rule, const RulesetView& view, Port wireguard_port);

}  // namespace drpf::firewall
