// How a scan gets on, on standard error: a line that is written over on a terminal, JSON lines for programs, or nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/time.h"
#include "scan/request.h"

namespace drpf::survey {

enum class ProgressForm : std::uint8_t { none, line, json };

// "auto" is a line where standard error is a terminal; nothing for a word that is none of auto, none, line, json.
std::optional<ProgressForm> progress_form(std::string_view word, bool on_terminal);

struct ProgressState {
  std::string what;        // "looking for hosts", "syn scan"
  std::uint64_t done = 0;  // ports, of the whole scan
  std::uint64_t total = 0;
  std::uint64_t open = 0;
  double rate = 0;  // packets per second
  std::optional<Duration> time_left;
};

// Without line end for the line; with one for JSON.
std::string progress_text(ProgressForm form, const ProgressState& state);

class Progress {
 public:
  explicit Progress(ProgressForm form) : form_(form) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(const ProgressState& state);
  void clear();  // before something else is written

 private:
  ProgressForm form_;
  bool shown_ = false;
};

}  // namespace drpf::survey
