#include "registry/port_registry.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "registry/name_in_text.h"
#include "registry/name_order.h"
#include "registry/scan_ports.h"
#include "registry/spelling.h"

namespace drpf::registry {

namespace {

constexpr std::size_t query_length_max = 64;

constexpr std::pair<std::string_view, std::string_view> short_names[] = {
#include "registry/short_names.inc"
};

bool precedes(const ServiceLine& line, std::pair<Port, Transport> wanted) { return std::pair(line.port, line.transport) < wanted; }

template <class Visit>
void for_each_word(std::string_view words, Visit visit) {
  while (!words.empty()) {
    const auto end = std::min(words.find(' '), words.size());
    if (end > 0) visit(words.substr(0, end));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
}

bool contains_word(std::string_view text, std::string_view word) {
  const auto same = [](char a, char b) { return lower(a) == lower(b); };
  return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
}

auto place(const Service& service) { return std::tuple(service.ports.first(), service.transport, service.ports.last()); }

// A word of its own in one of the texts, or in a name.
bool speaks_of(const Service& service, std::string_view word) {
  for (const auto text : {service.name, service.registered, service.comment, service.habit})
    if (has_words(text, word)) return true;
  if (!service.about) return false;
  for (const auto text : {service.about->name, service.about->also, service.about->purpose, to_string(service.about->category)})
    if (has_words(text, word)) return true;
  return false;
}

bool has_same_letters_or_fewer(std::string_view a, std::string_view b) {
  auto one = lower(a);
  auto other = lower(b);
  std::sort(one.begin(), one.end());
  std::sort(other.begin(), other.end());
  return std::includes(one.begin(), one.end(), other.begin(), other.end()) ||
         std::includes(other.begin(), other.end(), one.begin(), one.end());
}

std::optional<Protocol> protocol_of(Transport transport) {
  if (transport == Transport::tcp) return Protocol::tcp;
  if (transport == Transport::udp) return Protocol::udp;
  return std::nullopt;
}

void sort_and_unite(std::vector<Service>& services) {
  std::sort(services.begin(), services.end(), [](const Service& a, const Service& b) { return place(a) < place(b); });
  services.erase(std::unique(services.begin(), services.end(), [](const Service& a, const Service& b) { return place(a) == place(b); }),
                 services.end());
}

}  // namespace

void PortRegistry::overlay(std::string source, std::vector<ServiceLine> services) {
  std::stable_sort(services.begin(), services.end(),
                   [](const ServiceLine& a, const ServiceLine& b) { return precedes(a, {b.port, b.transport}); });
  layers_.insert(layers_.begin(), Layer{std::move(source), std::move(services)});
}

std::optional<Service> PortRegistry::find(Port port, Transport transport) const {
  Service service;
  service.ports = PortRange(port);
  service.transport = transport;
  service.about = find_well_known(port, transport);
  if (const auto* row = find_iana_row(port, transport)) {
    service.registered = row->name();
    service.name = row->name();
    service.source = source_iana;
    service.ports = row->ports();
  }
  if (const auto protocol = protocol_of(transport)) service.habit = habit_of(port, *protocol);
  if (!service.habit.empty()) service.ports = PortRange(port);  // it is not what the whole range is for
  if (service.about && compare_names(service.about->name, service.registered) != 0) {
    service.name = service.about->name;
    service.source = source_own;
    service.ports = PortRange(port);
  }
  for (const auto& layer : layers_) {
    const auto line = std::lower_bound(layer.lines.begin(), layer.lines.end(), std::pair(port, transport), precedes);
    if (line == layer.lines.end() || line->port != port || line->transport != transport) continue;
    service.name = line->name;
    service.source = layer.source;
    service.comment = line->comment;
    service.ports = PortRange(port);
    break;
  }
  if (service.name.empty()) service.source = source_own;
  return service.name.empty() && service.habit.empty() ? std::nullopt : std::optional(service);
}

std::string_view PortRegistry::name_of(Port port, Protocol protocol) const {
  const auto service = find(port, protocol);
  return service ? service->name : std::string_view();
}

std::vector<std::string_view> PortRegistry::names_of(Port port, Transport transport) const {
  std::vector<std::string_view> names;
  const auto add = [&](std::string_view name) {
    const auto same = [&](std::string_view known) { return compare_names(known, name) == 0; };
    if (!name.empty() && std::none_of(names.begin(), names.end(), same)) names.push_back(name);
  };
  for (const auto& layer : layers_) {
    auto line = std::lower_bound(layer.lines.begin(), layer.lines.end(), std::pair(port, transport), precedes);
    for (; line != layer.lines.end() && line->port == port && line->transport == transport; ++line) {
      add(line->name);
      for (const auto& alias : line->aliases) add(alias);
    }
  }
  if (const auto* about = find_well_known(port, transport)) {
    add(about->name);
    for_each_word(about->also, add);
  }
  for (const auto& row : iana_rows_at(port))
    if (row.transports().contains(transport)) add(row.name());
  return names;
}

template <class Visit>
void PortRegistry::for_each_name(Visit visit) const {
  for (const auto& layer : layers_)
    for (const auto& line : layer.lines) {
      visit(std::string_view(line.name), PortRange(line.port), TransportSet(line.transport));
      for (const auto& alias : line.aliases) visit(std::string_view(alias), PortRange(line.port), TransportSet(line.transport));
    }
  for (const auto& one : well_known()) {
    visit(one.name, PortRange(one.port), one.transports);
    for_each_word(one.also, [&](std::string_view name) { visit(name, PortRange(one.port), one.transports); });
  }
  for (const auto& row : iana_rows_all()) visit(row.name(), row.ports(), row.transports());
}

std::vector<Service> PortRegistry::by_habit(std::string_view name, Protocol protocol) const {
  std::vector<Service> found;
  for (const auto& habit : habits(protocol))
    if (has_name(habit.names, name)) found.push_back(*find(habit.port, protocol));
  return found;
}

std::vector<Service> PortRegistry::called(std::string_view name) const {
  std::array<std::vector<Service>, all_transports.size()> exactly;
  std::array<std::vector<Service>, all_transports.size()> by_letters;
  for_each_name([&](std::string_view known, PortRange ports, TransportSet transports) {
    const bool is_it = compare_names(known, name) == 0;
    if (!is_it && !same_letters(known, name)) return;
    auto& of_kind = is_it ? exactly : by_letters;
    for (std::size_t i = 0; i < all_transports.size(); ++i) {
      if (!transports.contains(all_transports[i])) continue;
      of_kind[i].push_back(*find(ports.first(), all_transports[i]));
      of_kind[i].back().ports = ports;
    }
  });
  std::vector<Service> found;
  for (std::size_t i = 0; i < all_transports.size(); ++i) {
    auto some = !exactly[i].empty() ? std::move(exactly[i]) : std::move(by_letters[i]);
    if (const auto protocol = protocol_of(all_transports[i]); some.empty() && protocol) some = by_habit(name, *protocol);
    found.insert(found.end(), some.begin(), some.end());
  }
  return found;
}

std::vector<Service> PortRegistry::named(std::string_view name) const {
  bool in_tables = false;
  for_each_name([&](std::string_view known, PortRange, TransportSet) {
    in_tables = in_tables || compare_names(known, name) == 0 || same_letters(known, name);
  });
  const auto* brief = in_tables ? std::end(short_names)
                                : std::find_if(std::begin(short_names), std::end(short_names),
                                               [&](const auto& one) { return compare_names(one.first, name) == 0; });
  auto found = called(brief == std::end(short_names) ? name : brief->second);
  sort_and_unite(found);
  return found;
}

std::vector<Port> PortRegistry::ports_named(std::string_view name, Protocol protocol) const {
  std::vector<Port> ports;
  for (const auto& service : named(name)) {
    if (service.transport != transport_of(protocol)) continue;
    for (std::uint32_t port = service.ports.first().value(); port <= service.ports.last().value(); ++port)
      ports.emplace_back(static_cast<std::uint16_t>(port));
  }
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  return ports;
}

std::vector<std::string_view> PortRegistry::nearest(std::string_view name, std::size_t count_max) const {
  return nearest(name, count_max, name.size() <= 3 ? 1 : name.size() <= 6 ? 2 : 3);
}

std::vector<std::string_view> PortRegistry::nearest(std::string_view name, std::size_t count_max, std::size_t distance_max) const {
  struct Guess {
    std::size_t distance;
    bool other_letters;  // a letter left out, doubled or swapped is a slip of the hand; one that was never in it is not
    bool begins_otherwise;
    std::size_t rank;
    std::string_view name;
  };
  if (name.empty() || name.size() > query_length_max) return {};
  std::vector<Guess> guesses;
  std::size_t rank = 0;
  const auto add = [&](std::string_view known) {
    ++rank;
    const auto distance = spelling_distance(name, known, distance_max);
    const auto same = [&](const Guess& guess) { return compare_names(guess.name, known) == 0; };
    if (distance > distance_max || std::any_of(guesses.begin(), guesses.end(), same)) return;
    guesses.push_back({distance, !has_same_letters_or_fewer(name, known), lower(name[0]) != lower(known[0]), rank, known});
  };
  // What people run first, then what is registered.
  for (const auto& one : well_known()) {
    add(one.name);
    for_each_word(one.also, add);
  }
  for (const auto protocol : {Protocol::tcp, Protocol::udp})
    for (const auto& habit : habits(protocol))
      for (const auto known : names_in(habit.names)) add(known);
  for_each_name([&](std::string_view known, PortRange, TransportSet) { add(known); });
  std::sort(guesses.begin(), guesses.end(), [](const Guess& a, const Guess& b) {
    return std::tie(a.distance, a.other_letters, a.begins_otherwise, a.rank) <
           std::tie(b.distance, b.other_letters, b.begins_otherwise, b.rank);
  });
  std::vector<std::string_view> names;
  for (const auto& guess : guesses)
    if (names.size() < count_max) names.push_back(guess.name);
  return names;
}

std::string_view PortRegistry::meant_by(std::string_view word) const {
  if (!named(word).empty()) return {};
  const auto services = about(word);
  if (std::any_of(services.begin(), services.end(), [&](const Service& service) { return speaks_of(service, word); })) return {};
  const auto guesses = nearest(word, 1, 1);
  return guesses.empty() ? std::string_view() : guesses.front();
}

std::vector<Service> PortRegistry::about(std::string_view word) const {
  std::vector<Service> explained;
  std::vector<Service> others;
  if (word.empty() || word.size() > query_length_max) return others;
  for (const auto& one : well_known()) {
    if (!contains_word(one.purpose, word) && !contains_word(to_string(one.category), word) && !contains_word(one.name, word) &&
        !contains_word(one.also, word))
      continue;
    for (const auto transport : all_transports)
      if (one.transports.contains(transport)) explained.push_back(*find(one.port, transport));
  }
  const auto add = [&](PortRange ports, TransportSet transports) {
    for (const auto transport : all_transports) {
      if (!transports.contains(transport)) continue;
      auto service = find(ports.first(), transport);
      service->ports = ports;
      const auto same = [&](const Service& known) { return place(known) == place(*service); };
      if (std::none_of(explained.begin(), explained.end(), same)) others.push_back(*service);
    }
  };
  for_each_name([&](std::string_view name, PortRange ports, TransportSet transports) {
    if (contains_word(name, word)) add(ports, transports);
  });
  for (const auto protocol : {Protocol::tcp, Protocol::udp})
    for (const auto& habit : habits(protocol))
      if (contains_word(habit.names, word) || has_words(habit.names, word))
        add(PortRange(habit.port), TransportSet(transport_of(protocol)));
  for (const auto& layer : layers_)
    for (const auto& line : layer.lines)
      if (contains_word(line.comment, word)) add(PortRange(line.port), TransportSet(line.transport));
  sort_and_unite(explained);
  sort_and_unite(others);
  explained.insert(explained.end(), others.begin(), others.end());
  return explained;
}

std::vector<Service> PortRegistry::within(PortRange range) const {
  std::vector<Service> found;
  for (std::uint32_t number = range.first().value(); number <= range.last().value(); ++number)
    for (const auto transport : all_transports) {
      const auto service = find(Port{static_cast<std::uint16_t>(number)}, transport);
      if (!service) continue;
      const bool again = !found.empty() && service->ports.size() > 1 &&
                         std::any_of(found.rbegin(), found.rend(), [&](const Service& known) { return place(known) == place(*service); });
      if (!again) found.push_back(*service);
    }
  return found;
}

}  // namespace drpf::registry
