// A question in the first line, a file of services in the rest: whatever they are, answers name ports that are in what was asked, and every
// service of the file is found again.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "registry/iana_csv.h"
#include "registry/port_query.h"
#include "registry/port_registry.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto end = std::min(text.find('\n'), text.size());
  const auto rest = text.substr(std::min(end + 1, text.size()));
  auto file = registry::is_iana_csv(rest) ? registry::parse_iana_csv(rest) : registry::parse_services(rest);
  registry::PortRegistry names;
  for (const auto& problem : file.problems)
    if (problem.line == 0 || problem.what.empty()) std::abort();
  const auto services = file.services;
  names.overlay("file", std::move(file.services));
  constexpr std::size_t looked_at_max = 20;  // each look by name goes through all names
  for (std::size_t i = 0; i < std::min(services.size(), looked_at_max); ++i) {
    const auto& one = services[i];
    const auto all = names.names_of(one.port, one.transport);
    if (std::find(all.begin(), all.end(), std::string_view(one.name)) == all.end() &&
        std::none_of(services.begin(), services.begin() + static_cast<std::ptrdiff_t>(i),
                     [&](const registry::ServiceLine& earlier) { return earlier.port == one.port && earlier.transport == one.transport; }))
      std::abort();
    if (names.find(one.port, one.transport)->source != "file") std::abort();
    const auto named = names.named(one.name);
    if (std::none_of(named.begin(), named.end(), [&](const registry::Service& found) { return found.ports.contains(one.port); }))
      std::abort();
  }
  const auto query = registry::parse_port_query(text.substr(0, end));
  if (!query) {
    if (query.error().message.empty() || query.error().cure.empty()) std::abort();
    return 0;
  }
  if (query->ports) {
    for (const auto& service : names.within(*query->ports))
      if ((service.name.empty() && service.habit.empty()) || service.source.empty() || !service.ports.overlaps(*query->ports)) std::abort();
    return 0;
  }
  for (const auto& service : names.about(query->text))
    if ((service.name.empty() && service.habit.empty()) || service.source.empty()) std::abort();
  if (names.nearest(query->text).size() > 3) std::abort();
  return 0;
}
