// Standard output for people: tables, and colour where a terminal shows it. Decides no content.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "terminal/exit_code.h"

namespace drpf::terminal {

enum class Colour { plain, bold, dim, green, yellow, red };

// On a terminal, and not where NO_COLOR (no-color.org) or TERM=dumb says no.
bool standard_output_has_colour();
std::string coloured(std::string_view text, Colour colour);  // as it is where there is no colour

struct Cell {
  std::string text;  // made printable when it is shown
  Colour colour = Colour::plain;
  bool right = false;  // numbers
};

class Table {
 public:
  explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  std::string text(bool colour) const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<Cell>> rows_;
};

// Writes it all, or says why not.
ExitCode print(std::string_view text);
// A remark beside the output: standard error.
void remark(std::string_view text);

}  // namespace drpf::terminal
