#include "survey/progress.h"

#include <cstdio>

#include <fmt/format.h>

#include "scan/tell/report.h"

namespace drpf::survey {
namespace {

std::string left_text(Duration left) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(left).count();
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", (seconds + 59) / 60);
  return fmt::format("{} h", (seconds + 3599) / 3600);
}

}  // namespace

std::optional<ProgressForm> progress_form(std::string_view word, bool on_terminal) {
  if (word == "auto") return on_terminal ? ProgressForm::line : ProgressForm::none;
  if (word == "none") return ProgressForm::none;
  if (word == "line") return ProgressForm::line;
  if (word == "json") return ProgressForm::json;
  return std::nullopt;
}

std::string progress_text(ProgressForm form, const ProgressState& state) {
  if (form == ProgressForm::none) return {};
  if (form == ProgressForm::json)
    return fmt::format(R"({{"progress":{{"doing":"{}","done":{},"total":{},"open":{},"rate":{:.1f},"time_left_s":{}}}}})", state.what,
                       state.done, state.total, state.open, state.rate,
                       state.time_left ? fmt::format("{:.1f}", std::chrono::duration<double>(*state.time_left).count()) : "null") +
           "\n";
  const double part = state.total > 0 ? 100.0 * static_cast<double>(state.done) / static_cast<double>(state.total) : 0;
  auto text =
      fmt::format("{}: {:.1f} % of {}, {} open, {} packets/s", state.what, part, state.total, state.open, scan::rate_text(state.rate));
  if (state.time_left) text += fmt::format(", {} left", left_text(*state.time_left));
  return text;
}

void Progress::show(const ProgressState& state) {
  if (form_ == ProgressForm::none) return;
  const auto text = progress_text(form_, state);
  if (form_ == ProgressForm::json) {
    std::fputs(text.c_str(), stderr);
    return;
  }
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
  std::fflush(stderr);
  shown_ = true;
}

void Progress::clear() {
  if (!shown_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace drpf::survey
