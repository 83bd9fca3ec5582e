// The tables of tests/golden/proxy/, which the tests of the running program read too. Judges nothing.
#pragma once

#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace drpf::proxy {

inline std::vector<std::vector<std::string>> rows_of_golden(const std::string& name) {
  std::ifstream file(DRPF_SOURCE_DIR "/tests/golden/proxy/" + name);
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::vector<std::string> row(1);
    for (const char c : line)
      if (c == '\t')
        row.emplace_back();
      else
        row.back() += c;
    rows.push_back(std::move(row));
  }
  return rows;
}

// "\r", "\n", "\t", "\v", "\\", "\"", "\x00".
inline std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    const char what = text[++i];
    if (what == 'x') {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += what == 'r' ? '\r' : what == 'n' ? '\n' : what == 't' ? '\t' : what == 'v' ? '\v' : what;
    }
  }
  return out;
}

}  // namespace drpf::proxy
