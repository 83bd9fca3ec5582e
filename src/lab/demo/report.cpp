#include "lab/demo/report.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <boost/json.hpp>

namespace drpf::lab::demo {

bool Chapter::held() const {
  return !facts.empty() && std::all_of(facts.begin(), facts.end(), [](const Fact& fact) { return fact.held; });
}

bool all_held(const std::vector<Chapter>& chapters) {
  return !chapters.empty() && std::all_of(chapters.begin(), chapters.end(), [](const Chapter& chapter) { return chapter.held(); });
}

std::string to_json(const std::vector<Chapter>& chapters) {
  boost::json::array facts;
  for (const Chapter& chapter : chapters) {
    for (const Fact& fact : chapter.facts) facts.push_back({{"name", fact.name}, {"held", fact.held}, {"detail", fact.detail}});
  }
  return boost::json::serialize(boost::json::object{{"held", all_held(chapters)}, {"facts", facts}});
}

std::string to_text(const Chapter& chapter, std::size_t number, bool colour) {
  const auto mark = [colour](bool held) {
    if (!colour) return std::string(held ? "✔" : "✘");
    return std::string(held ? "\033[32m✔\033[0m" : "\033[31m✘\033[0m");
  };
  std::string text = fmt::format("{} {} {}\n", mark(chapter.held()), number, chapter.headline);
  for (const Fact& fact : chapter.facts) text += fmt::format("    {}{}\n", fact.held ? "" : mark(false) + " ", fact.detail);
  for (std::string_view rest = chapter.picture; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    if (!line.empty()) text += fmt::format("      {}\n", line);
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return text;
}

}  // namespace drpf::lab::demo
