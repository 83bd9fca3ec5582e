// What other software's nftables rules do to ours, read from the text of `nft list ruleset`. Pure; it judges and changes nothing.
// An accept in another table does no harm, because our chains are asked all the same; a drop there cannot be undone by us, and what other
// rules do to marks, addresses and connection tracking reaches into ours.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/port.h"

namespace drpf::firewall {

struct ForeignRule {
  enum class Effect {
    drops_forwarded,     // a forward chain whose policy is drop and that lets the tunnel not pass: leases and devices' traffic are lost
    drops_input,         // an input chain whose policy is drop and that lets devices not in: handshakes do not arrive
    drops_some,          // a rule that drops or rejects what may be the tunnel's
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
  std::string text;    // the rule or the chain's head
  std::string handle;  // of the rule, where the listing names it (nft -a)
};

struct RulesetView {
  std::string own_table = "inet drpf";
  std::string tunnel_interface;
  std::vector<Prefix> tunnel_prefixes;
  std::vector<std::string> public_interfaces = {};
  PortRange pool{Port{10000}, Port{31999}};
  std::vector<PortRange> reserved = {};  // of the pool, never leased
  Port wireguard_port{51820};
};

std::vector<ForeignRule> find_foreign_rules(std::string_view nft_ruleset, const RulesetView& view);

// Which known program keeps tables or chains of these names on this host; empty if none does.
std::string owner_by_names(std::span<const std::string> names);

// What the operator should do about it, in one sentence.
std::string cure_for(const ForeignRule& rule, const RulesetView& view);

// What follows from it, after "table ..., chain ... ".
std::string explain(const ForeignRule& rule);
// Does it open a hole or stop the gateway's work, as things stand? Else it may, or would if our rules were gone.
bool is_grave(const ForeignRule& rule);

// "table inet drpf {" stands in the listing.
bool has_own_table(std::string_view nft_ruleset, const RulesetView& view);

}  // namespace drpf::firewall
