#include "registry/iana_csv.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace drpf::registry {

namespace {

constexpr std::string_view head = "Service Name,Port Number,Transport Protocol,Description";
constexpr std::size_t columns_read = 4;

// One record (RFC 4180): fields in quotes may hold commas, doubled quotes and line ends. Only the first columns are kept.
std::vector<std::string> take_record(std::string_view& text, std::size_t& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    const char letter = text[at];
    if (letter == '\n') ++line;
    if (quoted && letter == '"' && at + 1 < text.size() && text[at + 1] == '"') {
      fields.back() += text[++at];
    } else if (letter == '"') {
      quoted = !quoted;
    } else if (!quoted && letter == ',') {
      if (fields.size() > columns_read) fields.pop_back();
      fields.emplace_back();
    } else if (!quoted && letter == '\n') {
      break;
    } else {
      fields.back() += letter;
    }
  }
  text.remove_prefix(std::min(at + 1, text.size()));
  fields.resize(columns_read);
  return fields;
}

std::string in_one_line(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, service_comment_length_max)) {
    const bool gap = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (gap && !out.empty() && out.back() != ' ') out += ' ';
    if (!gap && static_cast<unsigned char>(c) > ' ' && c != 127) out += c;
  }
  return out;
}

}  // namespace

bool is_iana_csv(std::string_view text) { return text.starts_with(head); }

ServicesFile parse_iana_csv(std::string_view text) {
  ServicesFile file;
  std::size_t line = 1;
  (void)take_record(text, line);
  while (!text.empty()) {
    const auto at = line;
    const auto record = take_record(text, line);
    const auto& [name, ports, protocol, description] = std::tie(record[0], record[1], record[2], record[3]);
    const auto transport = find_transport(protocol);
    if (name.empty() || ports.empty() || !transport) continue;
    const auto range = parse_port_range(ports);
    if (!range || !is_service_name(name)) {
      if (file.problems.size() < service_problems_max)
        file.problems.push_back({at, range ? "the name is too long or not ASCII" : "the port is none"});
      continue;
    }
    if (file.services.size() + range->size() > services_lines_max) {
      file.problems.push_back({at, "this and all further lines: too many"});
      break;
    }
    for (std::uint32_t port = range->first().value(); port <= range->last().value(); ++port)
      file.services.push_back({name, Port{static_cast<std::uint16_t>(port)}, *transport, {}, in_one_line(description)});
  }
  return file;
}

}  // namespace drpf::registry
