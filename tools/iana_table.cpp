// Turns src/registry/iana_ports.tsv into the arrays that src/registry/iana_table.cpp includes. Run by the build:
//   iana_table iana_ports.tsv iana_table.inc
// Standard library only, so that nothing else has to be built before it.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace {

struct Row {
  unsigned first = 0;
  unsigned last = 0;
  unsigned transports = 0;  // bits as in registry::TransportSet
  std::string name;
};

// Widths of the fields of registry::IanaRow.
constexpr std::size_t offset_end = std::size_t{1} << 20;
constexpr std::size_t length_end = std::size_t{1} << 6;
constexpr std::size_t rows_end = std::size_t{1} << 16;

bool read_number(const std::string& text, unsigned& to) {
  if (text.empty() || text.size() > 5 || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) return false;
  to = static_cast<unsigned>(std::stoul(text));
  return to <= 65535;
}

bool read_line(const std::string& line, std::vector<Row>& rows) {
  const auto first_tab = line.find('\t');
  const auto second_tab = line.find('\t', first_tab == std::string::npos ? first_tab : first_tab + 1);
  if (second_tab == std::string::npos) return false;
  Row row;
  const auto ports = line.substr(0, first_tab);
  const auto dash = ports.find('-');
  if (!read_number(ports.substr(0, dash), row.first)) return false;
  row.last = row.first;
  if (dash != std::string::npos && !read_number(ports.substr(dash + 1), row.last)) return false;
  for (const char letter : line.substr(first_tab + 1, second_tab - first_tab - 1)) {
    const auto bit = std::string("tuds").find(letter);
    if (bit == std::string::npos) return false;
    row.transports |= 1U << bit;
  }
  std::size_t begin = second_tab + 1;
  while (begin <= line.size()) {
    const auto end = std::min(line.find(',', begin), line.size());
    row.name = line.substr(begin, end - begin);
    if (row.name.empty() || row.name.size() >= length_end || row.name.find_first_of("\"\\") != std::string::npos) return false;
    rows.push_back(row);
    begin = end + 1;
  }
  return row.transports != 0 && row.first <= row.last;
}

int fail(const std::string& what) {
  std::fprintf(stderr, "iana_table: %s\n", what.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return fail("give the file to read and the file to write");
  std::ifstream in(argv[1]);
  std::vector<Row> rows;
  std::string line;
  while (std::getline(in, line))
    if (!line.empty() && line[0] != '#' && !read_line(line, rows)) return fail("cannot understand: " + line);
  if (rows.empty() || rows.size() >= rows_end) return fail(std::string("no rows, or too many, in ") + argv[1]);
  // The look-up is a binary search that relies on this.
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const bool same = rows[i].first == rows[i - 1].first && rows[i].last == rows[i - 1].last;
    if (!same && rows[i].first <= rows[i - 1].last) return fail("not ascending, or ranges that overlap, at " + rows[i].name);
  }

  std::string names;
  std::map<std::string, std::size_t> offsets;
  for (const auto& row : rows) {
    const auto [at, is_new] = offsets.emplace(row.name, names.size());
    if (is_new) names += row.name;
  }
  if (names.size() >= offset_end) return fail("the names are too long");

  std::ofstream out(argv[2]);
  out << "constexpr IanaRow iana_rows[] = {\n";
  for (const auto& row : rows)
    out << '{' << row.first << ',' << row.last << ',' << offsets[row.name] << ',' << row.name.size() << ',' << row.transports << "},\n";
  out << "};\nconstexpr char iana_names[] =\n";
  for (std::size_t i = 0; i < names.size(); i += 120) out << '"' << names.substr(i, 120) << "\"\n";
  out << ";\n";
  out.close();
  return out ? 0 : fail(std::string("cannot write ") + argv[2]);
}
