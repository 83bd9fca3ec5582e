#include "terminal/terminal.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "api/json_text.h"

namespace drpf::terminal {
namespace {

constexpr std::string_view column_gap = "  ";

std::string_view escape_of(Colour colour) {
  switch (colour) {
    case Colour::plain:
      return "";
    case Colour::bold:
      return "\033[1m";
    case Colour::dim:
      return "\033[2m";
    case Colour::green:
      return "\033[32m";
    case Colour::yellow:
      return "\033[33m";
    case Colour::red:
      return "\033[31m";
  }
  return "";
}

std::string paint(std::string_view text, Colour colour, bool on) {
  if (!on || colour == Colour::plain) return std::string(text);
  return std::string(escape_of(colour)) + std::string(text) + "\033[0m";
}

// Columns on the screen, taking every character for one wide.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

bool standard_output_has_colour() {
  const char* const no_colour = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  if (no_colour && *no_colour) return false;
  return isatty(STDOUT_FILENO) == 1 && !(terminal && std::string_view(terminal) == "dumb");
}

std::string coloured(std::string_view text, Colour colour) { return paint(text, colour, standard_output_has_colour()); }

std::string Table::text(bool colour) const {
  std::vector<std::size_t> widths;
  for (const auto& heading : headings_) widths.push_back(width(heading));
  auto rows = rows_;
  for (auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i].text = api::printable(row[i].text);
      widths[i] = std::max(widths[i], width(row[i].text));
    }
  }
  std::string out;
  const auto line = [&](std::size_t columns, auto cell_at) {
    std::string text;
    for (std::size_t i = 0; i < columns; ++i) {
      const Cell& cell = cell_at(i);
      const std::string blanks(widths[i] - width(cell.text), ' ');
      if (i > 0) text += column_gap;
      if (cell.right) text += blanks;
      text += paint(cell.text, cell.colour, colour);
      if (!cell.right && i + 1 < columns) text += blanks;
    }
    out += text + "\n";
  };
  std::vector<Cell> headings;
  for (std::size_t i = 0; i < headings_.size(); ++i)
    headings.push_back({headings_[i], Colour::bold, !rows.empty() && i < rows.front().size() && rows.front()[i].right});
  line(headings.size(), [&](std::size_t i) -> const Cell& { return headings[i]; });
  for (const auto& row : rows) line(row.size(), [&](std::size_t i) -> const Cell& { return row[i]; });
  return out;
}

ExitCode print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return exit_ok;
  return report(
      failure("output_failed", std::string("cannot write to standard output: ") + std::strerror(errno), "check the disk or the reader"));
}

void remark(std::string_view text) { std::fprintf(stderr, "%s\n", api::printable(text).c_str()); }

}  // namespace drpf::terminal
