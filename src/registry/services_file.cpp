#include "registry/services_file.h"

#include <algorithm>
#include <utility>

#include "core/text.h"

namespace drpf::registry {

namespace {

std::string_view take_word(std::string_view& text) {
  text = trimmed(text);
  const auto end = static_cast<std::size_t>(std::find_if(text.begin(), text.end(), is_blank) - text.begin());
  const auto word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

// Comments are shown to people, so what moves a terminal's cursor is left out.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : trimmed(text).substr(0, service_comment_length_max))
    if (static_cast<unsigned char>(c) >= ' ' && c != 127) out += c;
  return out;
}

// Nothing: no problem, but a protocol that this program does not know (services(5) has had ddp, for one).
Result<std::vector<ServiceLine>> parse_line(std::string_view line) {
  const auto hash = line.find('#');
  auto rest = line.substr(0, hash);
  ServiceLine service;
  const auto name = take_word(rest);
  if (name.empty()) return std::vector<ServiceLine>{};
  const auto place = take_word(rest);
  const auto slash = place.find('/');
  const auto port = parse_port(place.substr(0, slash));
  if (!is_service_name(name)) return fail(invalid("services_line", "the name is too long or not ASCII"));
  if (slash == std::string_view::npos || !port)
    return fail(invalid("services_line", "a port and a protocol should follow the name, like 80/tcp"));
  const auto transport = find_transport(place.substr(slash + 1));
  if (!transport) return std::vector<ServiceLine>{};
  service.name = name;
  service.port = *port;
  service.transport = *transport;
  while (!(rest = trimmed(rest)).empty()) {
    const auto alias = take_word(rest);
    if (!is_service_name(alias)) return fail(invalid("services_line", "an alias is too long or not ASCII"));
    if (service.aliases.size() == service_aliases_max) return fail(invalid("services_line", "too many aliases"));
    service.aliases.emplace_back(alias);
  }
  if (hash != std::string_view::npos) service.comment = printable(line.substr(hash + 1));
  std::vector<ServiceLine> services;
  services.push_back(std::move(service));
  return services;
}

}  // namespace

bool is_service_name(std::string_view text) {
  return !text.empty() && text.size() <= service_name_length_max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
}

ServicesFile parse_services(std::string_view text) {
  ServicesFile file;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (number > services_lines_max) {
      file.problems.push_back({number, "this and all further lines: too many"});
      break;
    }
    auto services = parse_line(line);
    if (services)
      std::move(services->begin(), services->end(), std::back_inserter(file.services));
    else if (file.problems.size() < service_problems_max)
      file.problems.push_back({number, std::move(services.error().message)});
  }
  return file;
}

}  // namespace drpf::registry
