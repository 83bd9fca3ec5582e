// What was observed, and how it is told: as text while it happens, or as one JSON value at the end. Observes nothing itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace drpf::cli::demo {

struct Fact {
  std::string name;  // short and stable, for scripts
  bool held = false;
  std::string detail;  // the observed values
};

// Facts that belong together, under one headline.
struct Chapter {
  std::string headline;
  std::vector<Fact> facts;
  bool held() const;
};

std::string to_json(const std::vector<Chapter>& chapters);
bool all_held(const std::vector<Chapter>& chapters);
// "✔ 1 headline" and one line per fact.
std::string to_text(const Chapter& chapter, std::size_t number, bool colour);

// Tells of progress on one line of a terminal that the next output replaces. Silent where standard error is no terminal.
class Progress {
 public:
  Progress();
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void say(std::string_view what);
  void clear();

 private:
  bool terminal_;
  bool shown_ = false;
};

}  // namespace drpf::cli::demo
