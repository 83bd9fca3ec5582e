#include "firewall/rule_words.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "core/text.h"

namespace drpf::firewall {

namespace {

constexpr std::pair<std::string_view, unsigned> flag_bits[] = {{"fin", 0x01}, {"syn", 0x02}, {"rst", 0x04}, {"psh", 0x08}, {"ack", 0x10},
                                                               {"urg", 0x20}, {"ecn", 0x40}, {"cwr", 0x80}, {"0x0", 0}};
constexpr unsigned syn_alone = 0x02, ack_alone = 0x10;

bool meets(const FlagCondition& condition, unsigned flags) {
  if (condition.has_mask) return ((flags & condition.mask) == condition.value) != condition.negated;
  return (condition.compares ? flags == condition.value : (flags & condition.value) != 0) != condition.negated;
}

// "syn,ack" -> 0x12; nothing where it is none.
std::optional<unsigned> flags_in(std::string_view word) {
  unsigned bits = 0;
  while (!word.empty()) {
    const auto comma = std::min(word.find(','), word.size());
    const auto* const found =
        std::find_if(std::begin(flag_bits), std::end(flag_bits), [&](const auto& flag) { return flag.first == word.substr(0, comma); });
    if (found == std::end(flag_bits)) return std::nullopt;
    bits |= found->second;
    word.remove_prefix(std::min(comma + 1, word.size()));
  }
  return bits;
}

}  // namespace

bool FlagCondition::meets_syn() const { return meets(*this, syn_alone); }

bool FlagCondition::meets_ack() const { return meets(*this, ack_alone); }

FlagCondition RuleWords::take_flags() {
  FlagCondition condition;
  bool to_mask = false;
  for (; !at_end(); skip(1)) {
    auto word = peek();
    while (word.starts_with('(')) word.remove_prefix(1);
    while (word.ends_with(')')) word.remove_suffix(1);
    if (word == "/" || word == "&") {
      condition.has_mask = to_mask = true;
    } else if (word == "==" || word == "!=") {
      condition.negated = word == "!=";
      condition.compares = true;
      to_mask = false;
    } else if (word == "!") {
      condition.negated = true;
    } else if (const auto bits = flags_in(word); bits && !word.empty()) {
      (to_mask ? condition.mask : condition.value) |= *bits;
    } else if (word != "|" && word != ",") {
      break;
    }
  }
  return condition;
}

std::string_view listed_line(std::string_view line) {
  if (const auto at = line.rfind(" # handle "); at != std::string_view::npos) line = line.substr(0, at);
  if (const auto at = line.find("{ # "); at != std::string_view::npos) line = line.substr(0, at + 1);
  return trimmed(line);
}

std::string_view block_name(std::string_view line, std::string_view keyword) {
  if (!line.starts_with(keyword) || !line.ends_with('{')) return {};
  return trimmed(line.substr(keyword.size(), line.size() - keyword.size() - 1));
}

std::string_view word_behind(std::string_view line, std::string_view keyword) {
  const auto at = line.find(std::string(keyword) + " ");
  if (at == std::string_view::npos) return {};
  auto word = trimmed(line.substr(at + keyword.size()));
  word = word.substr(0, word.find_first_of(" ;"));
  while (!word.empty() && (word.front() == '"' || word.front() == '{')) word.remove_prefix(1);
  while (!word.empty() && word.back() == '"') word.remove_suffix(1);
  return word;
}

RuleWords::RuleWords(std::string_view rule) {
  std::size_t at = 0;
  while (at < rule.size()) {
    if (is_blank(rule[at])) {
      ++at;
    } else if (rule[at] == '"') {
      const auto end = std::min(rule.find('"', at + 1), rule.size());
      words_.emplace_back(rule.substr(at + 1, end - at - 1));
      at = end + 1;
      if (at < rule.size() && rule[at] == ',') words_.emplace_back(rule.substr(at++, 1));
    } else {
      auto end = at;
      while (end < rule.size() && !is_blank(rule[end])) ++end;
      auto word = rule.substr(at, end - at);
      at = end;
      const bool comma = word.size() > 1 && word.ends_with(',');
      if (comma) word.remove_suffix(1);
      words_.emplace_back(word);
      if (comma) words_.emplace_back(",");
    }
  }
}

std::string_view RuleWords::take() { return at_end() ? std::string_view() : std::string_view(words_[next_++]); }

void RuleWords::skip(std::size_t count) { next_ = std::min(next_ + count, words_.size()); }

std::vector<std::string> RuleWords::take_values() {
  std::vector<std::string> values;
  if (peek() != "{") {
    // "established,related"
    auto list = take();
    while (!list.empty()) {
      const auto comma = std::min(list.find(','), list.size());
      values.emplace_back(list.substr(0, comma));
      list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return values;
  }
  skip(1);
  std::string element;
  while (!at_end() && peek() != "}") {
    const auto word = take();
    if (word == ",") {
      values.push_back(std::move(element));
      element.clear();
    } else {
      element += (element.empty() ? "" : " ") + std::string(word);
    }
  }
  if (!element.empty()) values.push_back(std::move(element));
  skip(1);
  return values;
}

bool RuleWords::passes_limit() {
  if (peek() == "name") {
    skip(2);
    return true;
  }
  skip(1);  // "rate"
  const bool over = peek() == "over";
  if (over) skip(1);
  skip(1);  // "10/second"
  if (peek() == "mbytes/second" || peek() == "kbytes/second" || peek() == "bytes/second") skip(1);
  if (peek() == "burst") skip(3);
  return !over;
}

}  // namespace drpf::firewall
