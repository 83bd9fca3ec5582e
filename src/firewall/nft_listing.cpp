#include "firewall/nft_listing.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/text.h"
#include "firewall/rule_words.h"

namespace drpf::firewall {
namespace {

std::string handle_of(std::string_view line) {
  constexpr std::string_view mark = " # handle ";
  const auto at = line.rfind(mark);
  return at == std::string_view::npos ? std::string() : std::string(trimmed(line.substr(at + mark.size())));
}

// "priority filter", "priority srcnat + 5", "priority -160": nft(8) prints names where it has them.
int priority_in(std::string_view head) {
  static constexpr std::pair<std::string_view, int> names[] = {{"raw", -300}, {"mangle", -150}, {"dstnat", -100},
                                                               {"filter", 0}, {"security", 50}, {"srcnat", 100}};
  constexpr std::string_view keyword = "priority ";
  const auto at = head.find(keyword);
  if (at == std::string_view::npos) return 0;
  head.remove_prefix(at + keyword.size());
  RuleWords words(head.substr(0, head.find(';')));
  const auto number = [](std::string_view word) {
    int value = 0;
    std::from_chars(word.data(), word.data() + word.size(), value);
    return value;
  };
  const auto base = words.take();
  const auto* const named = std::find_if(std::begin(names), std::end(names), [&](const auto& one) { return one.first == base; });
  const int value = named == std::end(names) ? number(base) : named->second;
  const auto sign = words.take();
  return sign == "+" ? value + number(words.take()) : sign == "-" ? value - number(words.take()) : value;
}

template <class Listed>
const Listed* find(const std::vector<Listed>& all, std::string_view table, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Listed& one) { return one.table == table && one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

const ListedChain* NftListing::chain(std::string_view table, std::string_view name) const { return find(chains, table, name); }

const ListedSet* NftListing::set(std::string_view table, std::string_view name) const { return find(sets, table, name); }

NftListing parse_nft_listing(std::string_view text) {
  NftListing listing;
  std::string table;
  ListedChain* chain = nullptr;
  ListedSet* set = nullptr;
  bool in_elements = false;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto whole = text.substr(0, end);
    const auto line = listed_line(whole);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (const auto name = block_name(line, "table "); !name.empty()) {
      table = name;
      chain = nullptr;
      set = nullptr;
      in_elements = false;
    } else if (table.empty()) {
      continue;
    } else if (const auto chain_name = block_name(line, "chain "); !chain_name.empty() && !in_elements) {
      chain = &listing.chains.emplace_back();
      chain->table = table;
      chain->family = table.substr(0, table.find(' '));
      chain->name = chain_name;
      set = nullptr;
    } else if (const auto set_name = block_name(line, line.starts_with("map ") ? "map " : "set "); !set_name.empty() && !in_elements) {
      set = &listing.sets.emplace_back(ListedSet{table, std::string(set_name), {}});
      chain = nullptr;
    } else if (set && (in_elements || line.starts_with("elements = {"))) {
      auto part = in_elements ? line : line.substr(12);
      in_elements = !part.ends_with('}');
      if (!in_elements) part.remove_suffix(1);
      set->elements += std::string(part) + " ";
    } else if (line == "}") {
      chain = nullptr;
      set = nullptr;
    } else if (chain && line.starts_with("type ")) {
      chain->type = word_behind(line, "type");
      chain->hook = word_behind(line, "hook");
      chain->device = word_behind(line, "device");
      chain->priority = priority_in(line);
      chain->drops = line.find("policy drop") != std::string_view::npos;
      chain->head = line;
    } else if (chain && !line.empty() && !line.starts_with('#')) {
      chain->rules.push_back({std::string(line), handle_of(whole)});
    }
  }
  return listing;
}

}  // namespace drpf::firewall
