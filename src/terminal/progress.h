// Tells of progress on one line of a terminal that the next output replaces. Silent where standard error is no terminal.
#pragma once

#include <string_view>

namespace drpf::terminal {

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

}  // namespace drpf::terminal
