// The tables, chains and sets in a text of `nft -a list ruleset`, as values. Cuts text; judges nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace drpf::firewall {

struct ListedRule {
  std::string text;
  std::string handle;  // empty where the listing does not name it
};

struct ListedChain {
  std::string table;   // "inet filter"
  std::string family;  // "inet"
  std::string name;
  std::string type;    // "filter", "nat", "route"; empty, as the next ones, for a chain that is only reached from others
  std::string hook;    // "input"
  std::string device;  // of a hook at a device
  int priority = 0;
  bool drops = false;  // by policy
  std::string head;
  std::vector<ListedRule> rules;
};

struct ListedSet {  // or map
  std::string table;
  std::string name;
  std::string elements;  // as listed, without the braces
};

struct NftListing {
  std::vector<ListedChain> chains;
  std::vector<ListedSet> sets;

  const ListedChain* chain(std::string_view table, std::string_view name) const;
  const ListedSet* set(std::string_view table, std::string_view name) const;
};

NftListing parse_nft_listing(std::string_view text);

}  // namespace drpf::firewall
