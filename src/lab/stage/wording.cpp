#include "lab/stage/wording.h"

#include <fmt/format.h>

namespace drpf::lab {

std::string say_ports(const std::set<std::uint16_t>& ports) {
  constexpr int ranges_max = 8;  // the rest is a number: a line stays a line
  if (ports.empty()) return "none";
  std::string text;
  int ranges = 0;
  for (auto first = ports.begin(); first != ports.end();) {
    if (++ranges > ranges_max) return text + " ...";
    auto last = first;
    auto next = std::next(first);
    while (next != ports.end() && *next == *last + 1) last = next++;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", *first);
    if (last != first) text += fmt::format("-{}", *last);
    first = next;
  }
  return text;
}

std::string say_time(Duration duration) {
  const double ms = std::chrono::duration<double, std::milli>(duration).count();
  return ms < 1000 ? fmt::format("{:.0f} ms", ms) : fmt::format("{:.1f} s", ms / 1000);
}

}  // namespace drpf::lab
