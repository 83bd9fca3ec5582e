// What other software's nftables rules do to ours, read from the text of `nft list ruleset`. Pure; it judges and changes nothing.
// An accept in another table does no harm, because our chains are asked all the same; a drop there cannot be undone by us, so each of our
// packets is followed through each chain (rule_judge.h). What other rules do to marks, addresses and connection tracking reaches into ours.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "firewall/our_packets.h"

namespace drpf::firewall {

struct ForeignRule {
  enum class Effect {
    drops_all,           // a base chain that lets none of some kinds of our packets through: leases are not reached, devices not heard
    drops_some,          // one that lets only some of them through
    undecided,           // one with a rule that this program cannot judge, and on which it depends
    rewrites_source,     // masquerade or snat that may apply to tunnel traffic
    redirects_visitors,  // dnat or redirect of ports that are leased
    marks_connections,   // sets the connection mark, by which leases are told apart
    marks_packets,       // sets the packet mark whole, by which our routing rules know what our rules have seen
    untracks,            // keeps packets from connection tracking, and so from every translation and check
    offloads,            // a flowtable: packets go past the forward chains, and so past the check of the lease
  };
  Effect effect{};
  bool before_ours = false;  // of the two that translate addresses: asked before our translation, so it decides
  std::string table;         // "ip filter"
  std::string chain;
  std::string owner;   // "docker", "ufw", "firewalld", or "unknown"
  std::string text;    // the rule, or the policy
  std::string handle;  // of the rule, where the listing names it (nft -a)
  // Of the first three: the base chain, and what it does that to.
  std::string base_chain = {};
  std::string base_chain_hook = {};
  std::set<OurPacket::Kind> packets = {};
};

std::vector<ForeignRule> find_foreign_rules(std::string_view nft_ruleset, const RulesetView& view);

// Which known program keeps tables or chains of these names on this host; empty if none does.
std::string owner_by_names(std::span<const std::string> names);

// What the operator should do about it, in the language of the program that owns the chain (foreign_cures.cpp).
std::string cure_for(const ForeignRule& rule, const RulesetView& view);

// What follows from it, after "table ..., chain ... ".
std::string explain(const ForeignRule& rule);
// Does it open a hole or stop the gateway's work, as things stand? Else it may, or would if our rules were gone.
bool is_grave(const ForeignRule& rule);

// "table inet drpf {" stands in the listing.
bool has_own_table(std::string_view nft_ruleset, const RulesetView& view);

}  // namespace drpf::firewall
