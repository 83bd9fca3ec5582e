#include "registry/name_in_text.h"

#include <algorithm>
#include <array>

#include "core/text.h"

namespace drpf::registry {
namespace {

constexpr std::array<std::string_view, 19> joining_words{"a",  "and", "as",  "beside", "by",   "each", "every", "for", "in",  "moved",
                                                         "of", "old", "one", "on",     "over", "the",  "to",    "up",  "with"};

bool ends_phrase(char c) { return c == ',' || c == ';' || c == ':' || c == '(' || c == ')'; }

std::vector<std::string_view> words_in(std::string_view phrase) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < phrase.size();) {
    auto end = at;
    while (end < phrase.size() && is_letter_or_digit(phrase[end])) ++end;
    if (end > at) words.push_back(phrase.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

std::string letters_of(std::string_view text) {
  std::string letters;
  for (const char c : text)
    if (is_letter_or_digit(c)) letters += lower(c);
  return letters;
}

bool joins(std::string_view word) {
  return std::any_of(joining_words.begin(), joining_words.end(),
                     [&](std::string_view one) { return one.size() == word.size() && is_same_word(one, word); });
}

bool is_written_as_name(std::string_view word) {
  return std::any_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

// Whether words from this one on make up these letters.
bool run_is(const std::vector<std::string_view>& words, std::size_t first, std::string_view letters) {
  for (auto i = first; i < words.size() && !letters.empty(); ++i) {
    if (words[i].size() > letters.size() || !is_same_word(words[i], letters.substr(0, words[i].size()))) return false;
    letters.remove_prefix(words[i].size());
  }
  return letters.empty();
}

template <class MayBegin>  // may_begin(words, index)
bool has_run(std::string_view text, std::string_view wanted, MayBegin may_begin) {
  const auto letters = letters_of(wanted);
  if (letters.empty()) return false;
  for (const auto phrase : phrases_in(text)) {
    const auto words = words_in(phrase);
    for (std::size_t i = 0; i < words.size(); ++i)
      if (may_begin(words, i) && run_is(words, i, letters)) return true;
  }
  return false;
}

}  // namespace

bool same_letters(std::string_view a, std::string_view b) {
  const auto next = [](std::string_view& text) {
    while (!text.empty() && !is_letter_or_digit(text.front())) text.remove_prefix(1);
    const char letter = text.empty() ? '\0' : lower(text.front());
    text.remove_prefix(text.empty() ? 0 : 1);
    return letter;
  };
  // Most differ in the first.
  if (!a.empty() && !b.empty() && is_letter_or_digit(a[0]) && is_letter_or_digit(b[0]) && lower(a[0]) != lower(b[0])) return false;
  for (bool any = false;; any = true) {
    const char letter = next(a);
    if (letter != next(b)) return false;
    if (letter == '\0') return any;
  }
}

std::vector<std::string_view> phrases_in(std::string_view list) {
  std::vector<std::string_view> phrases;
  while (!list.empty()) {
    const auto end = static_cast<std::size_t>(std::find_if(list.begin(), list.end(), ends_phrase) - list.begin());
    if (const auto phrase = trimmed(list.substr(0, end)); !phrase.empty()) phrases.push_back(phrase);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return phrases;
}

bool has_words(std::string_view text, std::string_view words) {
  return has_run(text, words, [](const auto&, std::size_t) { return true; });
}

bool has_name(std::string_view list, std::string_view name) {
  return has_run(list, name, [](const std::vector<std::string_view>& words, std::size_t i) {
    return !joins(words[i]) && (i == 0 || is_written_as_name(words[i]));
  });
}

std::vector<std::string_view> names_in(std::string_view list) {
  std::vector<std::string_view> names;
  for (const auto phrase : phrases_in(list)) {
    const auto words = words_in(phrase);
    if (words.empty() || joins(words.front())) continue;
    names.push_back(phrase);
    if (words.size() == 1) continue;
    for (std::size_t i = 0; i < words.size(); ++i)
      if (!joins(words[i]) && is_written_as_name(words[i])) names.push_back(words[i]);
  }
  return names;
}

}  // namespace drpf::registry
