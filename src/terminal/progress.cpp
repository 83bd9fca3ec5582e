#include "terminal/progress.h"

#include <unistd.h>

#include <cstdio>

#include <fmt/format.h>

namespace drpf::terminal {

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

}  // namespace drpf::terminal
