#include "protocol/ftp/replies.h"

#include <algorithm>
#include <array>

namespace drpf::protocol::ftp {
namespace {

constexpr std::size_t entries_max = 20'000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<unsigned> number(std::string_view text, unsigned largest) {
  if (text.empty() || text.size() > 5 || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  unsigned value = 0;
  for (const char digit : text) value = value * 10 + static_cast<unsigned>(digit - '0');
  return value <= largest ? std::optional(value) : std::nullopt;
}

std::optional<unsigned> code_of(std::string_view line) {
  if (line.size() < 3) return std::nullopt;
  const auto code = number(line.substr(0, 3), 599);
  return code && *code >= 100 ? code : std::nullopt;
}

std::optional<Port> port_of(unsigned value) {
  if (value == 0 || value > 65535) return std::nullopt;
  return Port{static_cast<std::uint16_t>(value)};
}

std::string_view take_word(std::string_view& rest) {
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  const auto end = std::min(rest.find(' '), rest.size());
  const auto word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

// "drwxr-xr-x 2 ftp ftp 4096 Nov 30 12:00 name"
std::optional<Entry> read_unix_line(std::string_view line) {
  if (line.size() < 10 || std::string_view("-dl").find(line.front()) == std::string_view::npos) return std::nullopt;
  Entry entry;
  entry.folder = line.front() == 'd';
  const bool link = line.front() == 'l';
  auto rest = line;
  for (int i = 0; i < 4; ++i) take_word(rest);
  entry.size = take_word(rest);
  if (entry.size.empty() || !std::all_of(entry.size.begin(), entry.size.end(), is_digit)) return std::nullopt;
  for (int i = 0; i < 3; ++i) {
    const auto word = take_word(rest);
    if (word.empty()) return std::nullopt;
    entry.when += (i == 0 ? "" : " ") + std::string(word);
  }
  if (rest.size() < 2) return std::nullopt;
  entry.name = rest.substr(1);
  if (link) entry.name = entry.name.substr(0, entry.name.find(" -> "));
  return entry.name.empty() ? std::nullopt : std::optional(entry);
}

// "11-30-26  12:00PM       <DIR>          name"
std::optional<Entry> read_windows_line(std::string_view line) {
  if (line.size() < 17 || !is_digit(line.front()) || line[2] != '-') return std::nullopt;
  auto rest = line;
  Entry entry;
  entry.when = take_word(rest);
  entry.when += " " + std::string(take_word(rest));
  entry.size = take_word(rest);
  entry.folder = entry.size == "<DIR>";
  if (entry.folder) entry.size.clear();
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  entry.name = rest;
  return entry.name.empty() ? std::nullopt : std::optional(entry);
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  const char small = static_cast<char>(c | 0x20);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

}  // namespace

ReadReply read_reply(std::string_view bytes) {
  const auto malformed = [] { return ReadReply{std::nullopt, ReplyTrouble::malformed}; };
  std::optional<unsigned> code;
  std::size_t position = 0;
  while (true) {
    const auto end = bytes.find('\n', position);
    if (end == std::string_view::npos) return bytes.size() > reply_bytes_max ? malformed() : ReadReply{};
    auto line = bytes.substr(position, end - position);
    if (line.ends_with('\r')) line.remove_suffix(1);
    position = end + 1;
    if (position > reply_bytes_max) return malformed();
    const auto found = code_of(line);
    if (!code && !found) return malformed();
    if (!code && line.size() > 3 && line[3] != '-' && line[3] != ' ') return malformed();
    if (!code) code = found;
    // The last line has the code and a blank; others between may look like anything.
    if (found == code && (line.size() == 3 || line[3] == ' '))
      return {Reply{*code, std::string(line.substr(std::min<std::size_t>(line.size(), 4))), position}, {}};
  }
}

std::optional<Port> extended_passive_port(std::string_view text) {
  const auto open = text.find('(');
  if (open == std::string_view::npos || open + 5 >= text.size()) return std::nullopt;
  const char bar = text[open + 1];
  if (is_digit(bar) || text[open + 2] != bar || text[open + 3] != bar) return std::nullopt;
  const auto rest = text.substr(open + 4);
  const auto end = rest.find(bar);
  if (end == std::string_view::npos) return std::nullopt;
  const auto value = number(rest.substr(0, end), 65535);
  return value ? port_of(*value) : std::nullopt;
}

std::optional<Port> passive_port(std::string_view text) {
  const auto begin = text.find_first_of("0123456789");
  if (begin == std::string_view::npos) return std::nullopt;
  auto rest = text.substr(begin);
  rest = rest.substr(0, std::min(rest.find_first_not_of("0123456789,"), rest.size()));
  std::array<unsigned, 6> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto comma = std::min(rest.find(','), rest.size());
    const auto value = number(rest.substr(0, comma), 255);
    const bool last = i + 1 == numbers.size();
    if (!value || last != (comma == rest.size())) return std::nullopt;
    numbers[i] = *value;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return port_of(numbers[4] * 256 + numbers[5]);
}

std::optional<std::uint64_t> size_of_file(std::string_view text) {
  constexpr std::size_t digits_max = 18;
  if (text.empty() || text.size() > digits_max || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  std::uint64_t value = 0;
  for (const char digit : text) value = value * 10 + static_cast<std::uint64_t>(digit - '0');
  return value;
}

std::vector<Entry> read_listing(std::string_view text) {
  std::vector<Entry> entries;
  while (!text.empty() && entries.size() < entries_max) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("total ")) continue;
    auto entry = read_unix_line(line);
    if (!entry) entry = read_windows_line(line);
    if (!entry) entry = Entry{std::string(line), {}, {}, false};
    if (entry->name != "." && entry->name != "..") entries.push_back(std::move(*entry));
  }
  return entries;
}

std::optional<std::string> decoded_segment(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\r' || c == '\n' || c == '\0' || static_cast<unsigned char>(c) == 0xff) return std::nullopt;  // 255: TELNET's IAC
    out += c;
  }
  return out;
}

}  // namespace drpf::protocol::ftp
