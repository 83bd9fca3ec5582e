// What was observed, and how it is told: as text while it happens, or as one JSON value at the end. Observes nothing itself.
#pragma once

#include <string>
#include <vector>

namespace drpf::lab::demo {

struct Fact {
  std::string name;  // short and stable, for scripts
  bool held = false;
  std::string detail;  // the observed values
};

// Facts that belong together, under one headline.
struct Chapter {
  std::string headline;
  std::vector<Fact> facts;
  std::string picture = {};  // further lines for people, below the facts
  bool held() const;
};

std::string to_json(const std::vector<Chapter>& chapters);
bool all_held(const std::vector<Chapter>& chapters);
// "✔ 1 headline" and one line per fact.
std::string to_text(const Chapter& chapter, std::size_t number, bool colour);

}  // namespace drpf::lab::demo
