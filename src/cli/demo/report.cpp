#include "cli/demo/report.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <boost/json.hpp>

namespace drpf::cli::demo {

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
  return text;
}

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

void Progress::say(std::string_view what) {
  if (!terminal_) return;
  fmt::print(stderr, "\r\033[K  … {}", what);
  std::fflush(stderr);
  shown_ = true;
}

void Progress::clear() {
  if (!shown_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace drpf::cli::demo
